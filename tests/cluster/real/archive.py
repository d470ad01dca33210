"""One image in a docker-archive, under several names with different settings. Knows no Dockerfile.

The layers are the same for all of them, so the variants weigh nothing.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attrs import frozen

JSON = dict[str, Any]


@frozen
class Variant:
    """A name, and what differs from the original in its `config` (OCI image spec; None removes)."""

    name: str
    changes: JSON


def with_changes(configuration: JSON, changes: JSON) -> JSON:
    """The image configuration with parts of its `config` replaced."""
    inner = {**configuration.get("config", {}), **changes}
    return {**configuration, "config": {key: value for key, value in inner.items() if value is not None}}


def add_variants(source: Path, target: Path, variants: Iterable[Variant]) -> None:
    """Copy a docker-archive of one image and add the variants. Raises ValueError: no such archive."""
    with tarfile.open(source) as found, tarfile.open(target, "w") as made:
        manifest: list[JSON] = json.loads(_content(found, "manifest.json"))
        (original,) = manifest
        configuration: JSON = json.loads(_content(found, original["Config"]))
        for variant in variants:
            text = json.dumps(with_changes(configuration, variant.changes)).encode()
            name = f"{hashlib.sha256(text).hexdigest()}.json"
            _add(made, name, text)
            manifest.append({**original, "Config": name, "RepoTags": [variant.name]})
        for member in found:
            if member.name in (original["Config"], *original["Layers"]):
                made.addfile(member, found.extractfile(member) if member.isfile() else None)
        _add(made, "manifest.json", json.dumps(manifest).encode())


def write_first(source: Path, target: Path, name: str) -> None:
    """The first image alone, under another name, compressed; the same bytes for the same source."""
    with (
        tarfile.open(source) as found,
        # Without a name and a time in it.
        target.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as made,
    ):
        (first, *_) = json.loads(_content(found, "manifest.json"))
        for each in (first["Config"], *dict.fromkeys(first["Layers"])):
            _add(made, each, _content(found, each))
        _add(made, "manifest.json", json.dumps([{**first, "RepoTags": [name]}]).encode())


def configuration_of(archive: Path) -> JSON:
    """The configuration of the first image in it."""
    with tarfile.open(archive) as found:
        (first, *_) = json.loads(_content(found, "manifest.json"))
        configuration: JSON = json.loads(_content(found, first["Config"]))
        return configuration


def content_of(archive: Path, name: str) -> bytes:
    """A file of the first image, from the last layer that has it. Raises ValueError: none has."""
    with tarfile.open(archive) as found:
        (first, *_) = json.loads(_content(found, "manifest.json"))
        for layer in reversed(first["Layers"]):
            with tarfile.open(fileobj=io.BytesIO(_content(found, layer))) as files:
                if name in files.getnames():
                    return _content(files, name)
    raise ValueError(f"no layer of {archive} has {name}")


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise ValueError(f"no docker-archive: {name} is no file in it")
    return file.read()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
