"""Writes manifests/crd from the model: `make crds`. A test compares, so the two cannot drift apart."""

from pathlib import Path
from typing import Any

import yaml

from tidbbackup.model.schema import backup_crd, schedule_crd

FOLDER = Path(__file__).parent / "crd"


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def documents() -> dict[Path, str]:
    """The text of each generated file."""
    made = {"backups.yaml": backup_crd(), "backupschedules.yaml": schedule_crd()}
    return {
        FOLDER / name: yaml.dump(crd, Dumper=_Plain, sort_keys=False, width=120) for name, crd in made.items()
    }


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(f"# Generated from tidbbackup/model by `make crds`; do not edit.\n{text}")
