"""Writes manifests/crd from the model: `make crds`. A test compares, so the two cannot drift apart."""

from pathlib import Path

import yaml

from tidbbackup.model.resource.schema import backup_crd, restore_crd, schedule_crd
from tidbbackup.offline import PlainYaml

FOLDER = Path(__file__).parent / "crd"


def documents() -> dict[Path, str]:
    """The text of each generated file."""
    made = {
        "backups.yaml": backup_crd(),
        "backupschedules.yaml": schedule_crd(),
        "restores.yaml": restore_crd(),
    }
    return {
        FOLDER / name: yaml.dump(crd, Dumper=PlainYaml, sort_keys=False, width=120)
        for name, crd in made.items()
    }


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(f"# Generated from tidbbackup/model by `make crds`; do not edit.\n{text}")
