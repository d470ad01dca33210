"""Whether an archive is what its manifest says, read once from beginning to end; the counterpart of `pack`.

Bounded memory, however large it is. Must not know where the bytes come from, nor who asks.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator

from attrs import define, field, frozen

from tidbbackup.model.enumeration import some
from tidbbackup.worker.archive.manifest import Manifest, printable
from tidbbackup.worker.archive.unpack import BROKEN, Metered, Reader, broken_words, members


@frozen
class CheckResult:
    """What the archive turned out to be."""

    files: int
    bytes: int
    """Unpacked."""
    problems: tuple[str, ...]
    """Empty: it is whole."""


@define
class _Inside:
    """What the tar holds, compared as it goes by."""

    top: str
    missing: dict[str, int]
    """Files of the manifest that have not been seen, with their sizes."""
    files: int = 0
    bytes: int = 0
    unsafe: list[str] = field(factory=list)
    surplus: list[str] = field(factory=list)
    other_size: list[str] = field(factory=list)

    def take(self, member: tarfile.TarInfo) -> None:
        """One member."""
        folder, _, name = member.name.rpartition("/")
        if member.isdir() and member.name == self.top:
            return
        if folder != self.top or not member.isreg() or name in ("", ".", ".."):
            self.unsafe.append(printable(member.name))
            return
        self.files += 1
        self.bytes += member.size
        known = self.missing.pop(printable(name), None)
        if known is None:
            self.surplus.append(printable(name))
        elif known != member.size:
            self.other_size.append(f"{printable(name)} ({member.size} bytes, not {known})")

    def problems(self) -> Iterator[str]:
        """What is wrong with it, once all has gone by."""
        for words, names in (
            ("holds what does not belong into a dump", self.unsafe),
            ("lacks files of its manifest", sorted(self.missing)),
            ("holds files that are not in its manifest, or twice", self.surplus),
            ("holds files of another size", self.other_size),
        ):
            if names:
                yield f"{words}: {some(names)}"


def check_archive(
    source: Reader, manifest: Manifest, top: str, moved: Callable[[int], None] = lambda _: None
) -> CheckResult:
    """Read all of it and compare.

    Args:
        source: the archive's bytes.
        manifest: what it should hold.
        top: the one folder that all of it is in.
        moved: told the number of bytes read so far.
    """
    metered = Metered(source, moved)
    inside = _Inside(top, {file.name: file.size for file in manifest.files})
    broken = ""
    try:
        for member in members(metered):
            inside.take(member.info)
    except BROKEN as error:
        broken = broken_words(error)
    metered.drain()
    return CheckResult(inside.files, inside.bytes, tuple(_judged(metered, manifest, inside, broken)))


def _judged(metered: Metered, manifest: Manifest, inside: _Inside, broken: str) -> Iterator[str]:
    if metered.bytes < manifest.size:
        yield f"is cut off: {metered.bytes} bytes, {manifest.size} were stored"
    elif metered.bytes > manifest.size:
        yield f"is longer than it was: {metered.bytes} bytes, {manifest.size} were stored"
    elif metered.sha256.hexdigest() != manifest.sha256:
        yield f"has changed: its sha256 is {metered.sha256.hexdigest()}, its manifest says {manifest.sha256}"
    if broken:
        yield f"cannot be unpacked: {broken}"
    else:
        yield from inside.problems()
