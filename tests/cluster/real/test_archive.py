"""Variants of an image in one archive."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from .archive import Variant, add_variants, with_changes, write_first


def read(path: Path) -> dict[str, bytes]:
    """The files of an archive."""
    with tarfile.open(path) as archive:
        files = ((member.name, archive.extractfile(member)) for member in archive if member.isfile())
        return {name: file.read() for name, file in files if file}


def archive_of_one_image(path: Path, configuration: dict[str, Any]) -> None:
    """As `buildah push docker-archive:` makes it."""
    manifest = [{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l.tar"]}]
    files = {"l.tar": b"layer", "c.json": json.dumps(configuration).encode()}
    with tarfile.open(path, "w") as archive:
        for name, content in (files | {"manifest.json": json.dumps(manifest).encode()}).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_changes_replace_and_none_removes() -> None:
    before = {"os": "linux", "config": {"User": "1", "Env": ["A=1"], "Entrypoint": ["x"]}}

    after = with_changes(before, {"User": "0", "Entrypoint": None})

    assert after == {"os": "linux", "config": {"User": "0", "Env": ["A=1"]}}


def test_variants_share_the_layers(tmp_path: Path) -> None:
    archive_of_one_image(tmp_path / "one", {"config": {"User": "1"}})

    add_variants(tmp_path / "one", tmp_path / "two", [Variant("b:1", {"User": "0"})])

    files = read(tmp_path / "two")
    original, variant = json.loads(files["manifest.json"])
    assert (original["RepoTags"], variant["RepoTags"]) == (["a:1"], ["b:1"])
    assert original["Layers"] == variant["Layers"] == ["l.tar"]
    assert json.loads(files[original["Config"]]) == {"config": {"User": "1"}}
    assert json.loads(files[variant["Config"]]) == {"config": {"User": "0"}}
    assert files["l.tar"] == b"layer"


def test_the_first_image_alone_has_its_new_name_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    archive_of_one_image(tmp_path / "one.tar", {"architecture": "amd64"})
    add_variants(tmp_path / "one.tar", tmp_path / "all.tar", [Variant("b:1", {"User": "0:0"})])

    write_first(tmp_path / "all.tar", tmp_path / "first.tar.gz", "tidbbackup:1")
    write_first(tmp_path / "all.tar", tmp_path / "again.tar.gz", "tidbbackup:1")

    found = read(tmp_path / "first.tar.gz")
    (image,) = json.loads(found["manifest.json"])
    assert image["RepoTags"] == ["tidbbackup:1"]
    assert found.keys() == {"manifest.json", image["Config"], *image["Layers"]}
    assert (tmp_path / "again.tar.gz").read_bytes() == (tmp_path / "first.tar.gz").read_bytes()
