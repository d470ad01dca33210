"""The specification's examples, filled in: nothing is wrong with any of them."""

from pathlib import Path
from string import Template
from typing import Any

import msgspec
import pytest
import yaml

from tidbbackup.decide.spec.restored import restore_notices
from tidbbackup.decide.spec.valid import problems
from tidbbackup.model.resource.backup import decode_backup
from tidbbackup.model.resource.restore import decode_restore
from tidbbackup.model.resource.schedule import decode_schedule
from tidbbackup.model.units import parse_duration
from tidbbackup.schema_check import schema_problems

FOLDER = Path(__file__).parents[2] / "manifests" / "examples"
FILLED = {
    "tidb_host": "demo1-tidb.test1",
    "tidb_port": "4000",
    "tidb_user": "root",
    "tidb_password": "secret",
    "region": "us-west-2",
    "bucket": "my-bucket",
    "endpoint": "http://rgw.example:7480",
    "access_key": "access",
    "secret_key": "secret",
    "target_host": "tidb-new",
    "target_port": "4000",
    "target_user": "root",
}
BACKUPS = sorted(FOLDER.glob("backup-*.yaml"))


def load(path: Path) -> dict[str, Any]:
    """One example, with its placeholders filled."""
    found: dict[str, Any] = yaml.safe_load(Template(path.read_text()).substitute(FILLED))
    return found


def test_there_are_eight() -> None:
    assert len(BACKUPS) == 8


@pytest.mark.parametrize("path", BACKUPS, ids=lambda path: path.name)
def test_it_is_valid(path: Path) -> None:
    manifest = load(path)
    data = msgspec.json.encode(manifest)

    assert schema_problems(manifest["kind"], manifest) == ()
    if manifest["kind"] == "Backup":
        assert problems(decode_backup(data).spec) == ()
        return
    schedule = decode_schedule(data)
    assert problems(schedule.spec.backup_spec()) == ()
    assert parse_duration(schedule.spec.maxReservedTime or "0").total_seconds() == 3 * 3600


def test_the_restore_is_valid() -> None:
    manifest = load(FOLDER / "restore-s3.yaml")
    named = load(FOLDER / "backup-s3.yaml")["metadata"]
    assert schema_problems("Restore", manifest) == ()
    found = decode_restore(msgspec.json.encode(manifest))
    assert (found.metadata.namespace, found.spec.backup) == (named["namespace"], named["name"])
    assert restore_notices(found.spec) == ()


def test_the_secrets_have_the_keys_that_the_pods_refer_to() -> None:
    text = Template((FOLDER / "secrets.yaml").read_text()).substitute(FILLED)
    keys = {secret["metadata"]["name"]: set(secret["stringData"]) for secret in yaml.safe_load_all(text)}

    assert keys == {"backup-demo1-tidb-secret": {"password"}, "s3-secret": {"access_key", "secret_key"}}
