"""`tidbbackup check` takes what kubectl and the API server take, and reads in it what is stored."""

import asyncio
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.cluster.lab import Lab
from tests.yaml_cases import FILES
from tidbbackup.offline import documents
from tidbbackup.yaml_files import Unreadable, found_in

pytestmark = pytest.mark.integration


async def test_check_and_kubectl_agree(lab: Lab, tmp_path: Path) -> None:
    paths = {name: tmp_path / f"case-{number}.yaml" for number, name in enumerate(FILES)}
    for name, path in paths.items():
        path.write_bytes(FILES[name].data(path.stem))

    said, stored = await _created(lab.plane, tmp_path)

    wrong = []
    for name, path in paths.items():
        taken, read = str(path) not in said, _read(path)
        if taken is not FILES[name].taken:
            wrong.append(f"{name}: kubectl {'takes' if taken else 'refuses'} it")
        elif FILES[name].twice is not (taken is (read is None)):
            wrong.append(f"{name}: kubectl {'takes' if taken else 'refuses'} it, check does not agree")
        elif read is not None and not _agrees(read, stored[path.stem]):
            wrong.append(f"{name}: read {read}, stored {stored[path.stem]}")
    assert not wrong, "\n".join(wrong)


async def _created(plane: ControlPlane, folder: Path) -> tuple[str, dict[str, list[Any]]]:
    """What kubectl says, and what the server would store, by the case that its annotation names."""
    process = await asyncio.create_subprocess_exec(
        *(plane.kubectl, "create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", folder),
        env=plane.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    stored = defaultdict(list)
    text, decoder = stdout.decode(), json.JSONDecoder()
    while text := text.lstrip():
        found, end = decoder.raw_decode(text)
        stored[found["metadata"]["annotations"]["case"]].append(found)
        text = text[end:]
    return stderr.decode(), stored


def _read(path: Path) -> list[Any] | None:
    """The objects in the file; None if `check` refuses it."""
    try:
        if any(document.wrong for document in documents([str(path)])):
            return None
        return [each.value for each in found_in([str(path)]) if each.ours]
    except Unreadable:
        return None


def _agrees(read: Any, stored: Any) -> bool:
    """Whether all that was read is stored; the server adds defaults, and takes out what is null."""
    if isinstance(read, dict) and isinstance(stored, dict):
        given = {name: value for name, value in read.items() if value is not None}
        given.pop("creationTimestamp", None)  # It is the server's own.
        return all(_agrees(value, stored.get(name)) for name, value in given.items())
    if isinstance(read, list) and isinstance(stored, list):
        return len(read) == len(stored) and all(map(_agrees, read, stored))
    if isinstance(read, float) or isinstance(stored, float):
        return type(read) is not bool and float(read) == float(stored)
    return type(read) is type(stored) and read == stored
