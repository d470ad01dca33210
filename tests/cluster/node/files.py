"""The files of secret, configMap, downwardAPI and projected volumes. Pure, and how they are written."""

import os
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from tests.cluster.api import JSON

from .environment import Data, Source, not_found

DEFAULT_MODE = 0o644


class MountError(Exception):
    """The volume cannot be set up yet; the message is the kubelet's."""


@frozen
class File:
    """What a file of a volume holds, and its permission bits."""

    content: bytes
    mode: int = DEFAULT_MODE


def source_files(source: Source, data: Data, spec: JSON, mode: int) -> dict[str, File]:
    """The files that a Secret or ConfigMap gives, all its keys or the `items` of the volume.

    Raises MountError for a source or a key that is missing and not optional.
    """
    optional = spec.get("optional", False)
    if data is None:
        if optional:
            return {}
        raise MountError(not_found(source))
    if not spec.get("items"):
        return {key: File(value, mode) for key, value in data.items()}
    found: dict[str, File] = {}
    for item in spec["items"]:
        if item["key"] in data:
            found[item["path"]] = File(data[item["key"]], item.get("mode", mode))
        elif not optional:
            raise MountError(_missing_key(source, item["key"]))
    return found


def _missing_key(source: Source, key: str) -> str:
    if source.kind == "secret":
        return f"references non-existent secret key: {key}"
    return f"configmap references non-existent config key: {key}"


def write_files(folder: Path, files: Mapping[str, File]) -> None:
    """Write the files below `folder`, which is made; modes are exactly as asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            target.write(file.content)
            os.fchmod(target.fileno(), file.mode)
