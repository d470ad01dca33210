"""The Backups that `adopt` prints, as far as it gets without a server."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from tidbbackup.adopt import Adoption, adopt, backups
from tidbbackup.decide.spec.restored import Resolved, resolve
from tidbbackup.listing import Listed
from tidbbackup.model.meta import Meta
from tidbbackup.model.resource.backup import Backup, decode_backup
from tidbbackup.model.resource.restore import Restore, RestoreSpec
from tidbbackup.model.resource.storage_spec import Source
from tidbbackup.place import Place
from tidbbackup.schema_check import schema_problems
from tidbbackup.yaml_files import encoded

MOMENT = datetime(2026, 11, 25, 3, tzinfo=UTC)
LEFT = Listed(
    *("s3://bucket/some/folder/backup-20261125T030000Z-0123abcd.tgz", 12, "yes", MOMENT),
    finished=MOMENT + timedelta(seconds=90),
    databases=tuple(f"d{number}" for number in range(30)),
    sha256="ab",
    uid="0123abcd-1",
)
PLACE = Place("ceph", "http://10.0.0.1")


def printed(*found: Listed) -> list[dict[str, Any]]:
    """What is printed for these, as YAML keeps it."""
    read: list[dict[str, Any]] = json.loads(
        json.dumps(list(backups(found, PLACE, Adoption("shop", "s3-secret"))))
    )
    return read


def created(value: dict[str, Any]) -> Backup:
    """As the API server has it."""
    backup = decode_backup(encoded(value))
    meta = attrs.evolve(backup.metadata, uid="another", creationTimestamp=MOMENT)
    return attrs.evolve(backup, metadata=meta)


def test_it_is_a_copy_that_is_complete_and_that_a_restore_can_name() -> None:
    (value,) = printed(LEFT)
    assert schema_problems("Backup", value) == ()
    assert value["metadata"]["name"] == "backup-20261125t030000z-0123abcd"
    assert (value["spec"]["cleanPolicy"], value["status"]["phase"]) == ("Retain", "Complete")
    assert (value["status"]["timeTaken"], value["status"]["databaseCount"]) == ("1m30s", 30)
    backup = created(value)
    assert "is a copy of another Backup or was restored" in backup.foreign
    resolved = resolve(
        Restore(
            Meta(name="rt", namespace="shop", creationTimestamp=MOMENT),
            RestoreSpec(to=Source("tidb", secretName="s"), backup=backup.metadata.name),
        ),
        backup,
    )
    assert isinstance(resolved, Resolved)
    assert resolved.task.target.url == LEFT.archive
    assert resolved.task.keysInSecret


def test_without_the_annotation_it_is_a_copy_all_the_same() -> None:
    (value,) = printed(LEFT)
    del value["metadata"]["annotations"]
    assert "status.backupPath is the archive of the original" in created(value).foreign


def test_names_are_valid_and_each_is_there_once() -> None:
    other = attrs.evolve(LEFT, archive="s3://bucket/other/backup-20261125T030000Z-0123abcd.tgz")
    renamed = attrs.evolve(LEFT, archive="s3://bucket/Of_March.tar.zst")
    assert [each["metadata"]["name"] for each in printed(LEFT, other, renamed)] == [
        "backup-20261125t030000z-0123abcd",
        "backup-20261125t030000z-0123abcd-2",
        "of-march",
    ]


def test_an_address_that_is_none() -> None:
    out, err = io.StringIO(), io.StringIO()
    assert adopt("b/k", Place(), Adoption("shop"), {}, out, err) == 2
    assert err.getvalue().startswith("tidbbackup adopt: b/k: write s3://bucket")
    assert out.getvalue() == ""
