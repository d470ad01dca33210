"""The Backups, BackupSchedules and Restores in files, folders and standard input, as kubectl reads them.

Must not judge a spec.
"""

from __future__ import annotations

import difflib
import re
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from attrs import field, frozen

from tidbbackup import kubectl_yaml
from tidbbackup.model.names import API_VERSION
from tidbbackup.model.resource.backup import KIND as BACKUP
from tidbbackup.model.resource.restore import KIND as RESTORE
from tidbbackup.model.resource.schedule import KIND as SCHEDULE
from tidbbackup.model.wire import without_nulls

KINDS = (BACKUP, SCHEDULE, RESTORE)
UNFIT = (msgspec.ValidationError, UnicodeEncodeError, RecursionError)
"""What `encoded` and decoding raise for an object that the controller could not read."""

_NAMES_OF_YAML = (".yaml", ".yml", ".json")
"""What kubectl reads in a folder."""


class Unreadable(Exception):
    """The file cannot be read as Kubernetes YAML; the message has the place."""


@frozen
class Found:
    """One object in a file."""

    file: str
    kind: str
    name: str
    value: dict[str, Any]
    ours: bool = True
    """Whether apiVersion and kind are those of a Backup, a BackupSchedule or a Restore."""
    wrong: tuple[str, ...] = ()
    """What makes it no object of ours, though it was meant as one, and what stands in it twice."""
    doubts: tuple[str, ...] = ()
    """What is right and may surprise."""
    lines: Mapping[str, int] = field(factory=dict)
    """The line in the file of each path, such as spec.s3.bucket; empty for JSON."""

    @property
    def title(self) -> str:
        """Its kind and name, for people."""
        return f"{self.kind} {self.name}".rstrip()

    def at_its_line(self, problem: str) -> str:
        """A problem, which begins with a path, with the line of that path or of the nearest part above it."""
        path = problem.partition(": ")[0]
        while path and path not in self.lines:
            path = re.sub(r"(^|\.)[^.\[\]]*$|\[\d+\]$", "", path)
        line = self.lines.get(path)
        return f"{problem} (line {line})" if line else problem


def found_in(paths: Sequence[str]) -> list[Found]:
    """All objects in these files, also inside lists, ours or not.

    A folder means the YAML and JSON files in it.

    Raises:
        Unreadable: no such file, or kubectl could not read it, or nothing in them was meant as ours.
    """
    found = [each for path in paths for file in _files(path) for each in _objects(file)]
    if not any(each.ours or each.wrong for each in found):
        raise Unreadable(f"{', '.join(paths)}: holds no {API_VERSION} Backup, BackupSchedule or Restore")
    return found


def encoded(value: dict[str, Any]) -> bytes:
    """The object as the API server has it: without what is left empty, and with a name."""
    meta = value["metadata"]
    made_up = f"{str(meta.get('generateName'))[:58]}{uuid.uuid4().hex[:5]}"
    return msgspec.json.encode(
        without_nulls(value | {"metadata": meta | {"name": meta.get("name") or made_up}})
    )


def _files(path: str) -> list[str]:
    if path == "-" or not Path(path).is_dir():
        return [path]
    files = sorted(str(each) for each in Path(path).iterdir() if each.suffix in _NAMES_OF_YAML)
    if not files:
        raise Unreadable(f"{path}: no file in this folder ends in {', '.join(_NAMES_OF_YAML)}")
    return files


def _objects(file: str) -> Iterator[Found]:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        read = list(kubectl_yaml.read(data))
    except OSError as error:
        raise Unreadable(f"{file}: {error.strerror}") from error
    except kubectl_yaml.NotYaml as error:
        raise Unreadable(f"{file}: not YAML: {error}") from error
    for document in read:
        _check_head(file, document.value, document.lines)
        for prefix, value in _parts(document.value):
            inside = _below(prefix)
            lines = {inside(path): line for path, line in document.lines.items()}
            lines[""] = document.lines.get(prefix, 0)
            yield _found(file, value, list(filter(None, map(inside, document.twice))), lines)


def _below(prefix: str) -> Callable[[str], str]:
    """Makes a path in the file a path in the object at `prefix`; empty if it is elsewhere."""
    dotted = f"{prefix}." if prefix else ""
    return lambda path: path.removeprefix(dotted) if path.startswith(dotted) else ""


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What is in a list, each with its path; what is no list is its only part.

    In a BackupList it is a Backup, if it does not say what it is.
    """
    kind, items = (str(value.get("kind")), value.get("items")) if isinstance(value, dict) else ("", None)
    if not isinstance(items, list) or not kind.endswith("List"):
        yield ("items", items) if kind == "List" else ("", value)
        return
    known = {} if kind == "List" else {"apiVersion": value.get("apiVersion"), "kind": kind[:-4]}
    for number, item in enumerate(items):
        yield f"items[{number}]", known | item if isinstance(item, dict) else item


def _check_head(file: str, value: Any, lines: dict[str, int]) -> str:
    """Where it is in the file, for people. Raises Unreadable if it does not say what it is."""
    where = f"{file}: line {lines['']}" if lines.get("") else file
    if not isinstance(value, dict) or not (value.get("apiVersion") and value.get("kind")):
        raise Unreadable(f"{where}: holds something without apiVersion or without kind")
    return where


def _found(file: str, value: Any, twice: list[str], lines: dict[str, int]) -> Found:
    where = _check_head(file, value, lines)
    api, kind, meta = str(value["apiVersion"]), str(value["kind"]), value.get("metadata")
    names = [meta.get(name) for name in ("name", "generateName")] if isinstance(meta, dict) else []
    named = [str(name) for name in names if name not in (None, "")]
    if api != API_VERSION or kind not in KINDS:
        wrong = _meant_as_ours(api, kind)
        return Found(file, kind, named[0] if named else "", value, ours=False, wrong=wrong, lines=lines)
    if not named:
        raise Unreadable(
            f"{where}: a {kind} has no metadata.name or generateName (was its indentation lost?)"
        )
    doubts = ("metadata.generateName: kubectl apply refuses it, use kubectl create",) if not names[0] else ()
    wrong = tuple(f"{path}: stands twice in the same object: remove one" for path in twice)
    return Found(file, kind, named[0], value, wrong=wrong, doubts=doubts, lines=lines)


def _meant_as_ours(api: str, kind: str) -> tuple[str, ...]:
    """What is wrong with these two words, if a kind of ours is meant."""
    near = {each.lower(): each for each in KINDS}
    meant = difflib.get_close_matches(kind.lower(), near, 1, 0.85)
    if not meant or not api.startswith("pingcap.com/"):
        return ()
    wrong = []
    if api != API_VERSION:
        wrong.append(f"apiVersion: {api!r}: write {API_VERSION}")
    if kind not in KINDS:
        wrong.append(f"kind: {kind!r}: write {near[meant[0]]}")
    return tuple(wrong)
