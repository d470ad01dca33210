"""The generated files are those that the model makes now."""

from pathlib import Path

import pytest
import yaml

from manifests.generate import FOLDER, documents

CRDS = documents()


@pytest.mark.parametrize("path", CRDS, ids=lambda path: path.name)
def test_the_file_is_what_make_crds_writes(path: Path) -> None:
    assert "do not edit" in CRDS[path]
    assert path.read_text() == CRDS[path], "run `make crds`"


def test_kustomize_takes_all_of_them() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]

    assert sorted(listed) == sorted(path.name for path in CRDS if path.parent == FOLDER)
