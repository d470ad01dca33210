"""The packed chart is the folder, without links, and the same bytes for the same content."""

import io
import tarfile
from pathlib import Path

import pytest
import yaml

from manifests.compose import FOLDER
from release.chart import packed
from release.names import ImageName, read_image

MOMENT = 1_700_000_000
PUSHED = "registry.example.com:5000/team/tidbbackup@sha256:" + "0123" * 16


def files(archive: bytes) -> dict[str, bytes]:
    """What is in a packed chart; each has to be a plain file of the release's time."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file
            assert member.isreg()
            assert member.mtime == MOMENT
            found[member.name] = file.read()
    return found


def test_links_become_files_and_kustomizations_stay_out() -> None:
    found = files(packed(FOLDER / "chart", "tidbbackup", MOMENT, None))

    assert found["tidbbackup/files/crds.yaml"] == (FOLDER / "crds.yaml").read_bytes()
    assert found["tidbbackup/files/policy/policy.yaml"] == (FOLDER / "policy" / "policy.yaml").read_bytes()
    assert found["tidbbackup/Chart.yaml"] == (FOLDER / "chart" / "Chart.yaml").read_bytes()
    assert not [name for name in found if name.endswith("kustomization.yaml")]


def test_a_copy_has_the_same_bytes(tmp_path: Path) -> None:
    """Made in another order, at another time, and with files in place of links."""
    for name, content in reversed(files(packed(FOLDER / "chart", "tidbbackup", MOMENT, None)).items()):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    copy = packed(tmp_path / "tidbbackup", "tidbbackup", MOMENT, None)

    assert copy == packed(FOLDER / "chart", "tidbbackup", MOMENT, None)


def test_its_values_name_the_image_that_was_pushed() -> None:
    image = read_image(PUSHED)

    found = files(packed(FOLDER / "chart", "tidbbackup", MOMENT, image))

    values = yaml.safe_load(found["tidbbackup/values.yaml"])
    shipped = yaml.safe_load((FOLDER / "chart" / "values.yaml").read_text())
    repository, _, digest = PUSHED.partition("@")
    changed = shipped["image"] | {"repository": repository, "digest": digest}
    assert values == shipped | {"image": changed}


def test_values_without_a_place_for_the_image_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("image: {}\n")

    with pytest.raises(ValueError, match="no line 'repository: tidbbackup'"):
        packed(tmp_path, "tidbbackup", MOMENT, ImageName("a", "sha256:" + "0" * 64))


def test_an_image_is_named_by_its_digest() -> None:
    assert str(read_image(PUSHED)) == PUSHED
    for wrong in ("tidbbackup:0.1.0", "tidbbackup", "tidbbackup@sha256:12", "@sha256:" + "0" * 64):
        with pytest.raises(ValueError, match="no image by its digest"):
            read_image(wrong)
