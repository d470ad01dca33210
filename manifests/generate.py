"""Writes manifests/crd and docs/reference/api.md from the model: `make crds`. A test compares them."""

from pathlib import Path

import yaml

from manifests.reference import page
from tidbbackup.model.resource.schema import backup_crd, restore_crd, schedule_crd
from tidbbackup.offline import PlainYaml

FOLDER = Path(__file__).parent / "crd"
REFERENCE = Path(__file__).parents[1] / "docs" / "reference" / "api.md"
_NOTE = "# Generated from tidbbackup/model by `make crds`; do not edit.\n"


def documents() -> dict[Path, str]:
    """The text of each generated file."""
    made = {
        "backups.yaml": backup_crd(),
        "backupschedules.yaml": schedule_crd(),
        "restores.yaml": restore_crd(),
    }
    texts = {
        FOLDER / name: f"{_NOTE}{yaml.dump(crd, Dumper=PlainYaml, sort_keys=False, width=120)}"
        for name, crd in made.items()
    }
    return texts | {REFERENCE: page(list(made.values()))}


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text)
