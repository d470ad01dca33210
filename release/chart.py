"""The chart as one file, as `helm package` makes it but with the same bytes for the same content.

Must not know what is in the templates.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

from release.names import ImageName

_LEFT_OUT = {"kustomization.yaml"}
"""As .helmignore of the chart has it."""


def packed(chart: Path, name: str, moment: int, image: ImageName | None) -> bytes:
    """The chart's folder as a .tgz below the folder `name`; links become the files that they lead to.

    `moment`: the time of all files, in seconds. With `image` its values name that one.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for relative, content in sorted(_files(chart).items()):
            if relative == "values.yaml" and image:
                content = _naming(content.decode(), image).encode()
            member = tarfile.TarInfo(f"{name}/{relative}")
            member.size, member.mtime, member.mode = len(content), moment, 0o644
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(archive.getvalue(), mtime=moment)


def _files(folder: Path, prefix: str = "") -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path in folder.iterdir():
        if path.is_dir():
            found |= _files(path, f"{prefix}{path.name}/")
        elif path.name not in _LEFT_OUT:
            found[f"{prefix}{path.name}"] = path.read_bytes()
    return found


def _naming(values: str, image: ImageName) -> str:
    for before, after in (
        ("\n  repository: tidbbackup\n", f"\n  repository: {image.repository}\n"),
        ('\n  digest: ""\n', f"\n  digest: {image.digest}\n"),
    ):
        if values.count(before) != 1:
            raise ValueError(f"values.yaml has no line {before.strip()!r} to be replaced")
        values = values.replace(before, after)
    return values
