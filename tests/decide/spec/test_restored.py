"""A Restore's spec: what it comes to, and everything that is wrong with it.

Here is also what model/resource/restore.py promises.
"""

from typing import Any

import attrs
import msgspec
import pytest

from tests.decide.builders import *
from tidbbackup.decide.spec.restored import Resolved, resolve, restore_notices
from tidbbackup.model.contract.task import DatabaseTarget, RestoreSettings
from tidbbackup.model.meta import Meta
from tidbbackup.model.resource.backup import Backup
from tidbbackup.model.resource.restore import Restore, decode_restore

TO = {"host": "tidb", "secretName": "db"}
PATH = {"provider": "aws", "path": "s3://bucket/some/backup-1.tgz", "secretName": "s3"}
COMPLETE_ONE = backup(status=status("Complete", backupPath="s3://bucket/some/of-it.tar.zst"))


LEAVES = backup(status=COMPLETE_ONE.status, deletionTimestamp=NOW)


def restore(**spec: Any) -> Restore:
    """A Restore of an archive by its address; keywords replace fields (None removes one)."""
    whole = {"to": TO, "s3": PATH} | spec
    wire = {"metadata": {}, "spec": {name: value for name, value in whole.items() if value is not None}}
    meta = Meta(
        name="demo", namespace="ns", uid=UID, generation=1, resourceVersion="7", creationTimestamp=NOW
    )
    return attrs.evolve(decode_restore(msgspec.json.encode(wire)), metadata=meta)


def resolved(found: Restore, named: Backup | None = None) -> Resolved:
    """What it comes to."""
    over = resolve(found, named)
    assert isinstance(over, Resolved), over
    return over


def test_the_whole_task() -> None:
    task = resolved(restore(tableFilter=["a.*"], overwrite="Tables")).task
    assert (task.target.bucket, task.target.key) == ("bucket", "some/backup-1.tgz")
    assert task.database == DatabaseTarget("tidb")
    assert task.restore == RestoreSettings(("a.*",), overwrite=True)
    assert (task.backup, task.namespace, task.uid, task.keysInSecret) == ("demo", "ns", UID, True)


def test_a_drill() -> None:
    task = resolved(restore(databaseSuffix="_d", afterwards="Drop")).task
    assert task.restore == RestoreSettings(databaseSuffix="_d", drop=True)


def test_the_named_backup_gives_bucket_key_and_credentials() -> None:
    task = resolved(restore(s3=None, backup="demo"), COMPLETE_ONE).task
    assert task.target.url == "s3://bucket/some/of-it.tar.zst"
    pod = resolved(restore(s3=None, backup="demo"), COMPLETE_ONE).spec
    assert pod.s3 is not None
    assert pod.s3.secretName == "s3"


def test_an_address_of_the_original_has_no_scheme() -> None:
    assert resolved(restore(s3=PATH | {"path": "bucket/a.tgz"})).task.target.url == "s3://bucket/a.tgz"


@pytest.mark.parametrize(
    ("spec", "named", "path", "cure"),
    [
        ({"to": None}, None, "spec.to", "is missing"),
        ({"to": TO | {"host": "a b"}}, None, "spec.to.host", "write a host name"),
        ({"to": TO | {"host": "a:4000"}}, None, "spec.to.host", "spec.to.port"),
        ({"s3": None}, None, "spec.backup", "one of the two"),
        ({"backup": "demo"}, COMPLETE_ONE, "spec.backup", "one of the two"),
        ({"s3": None, "backup": "gone"}, None, "spec.backup", "is no Backup of this namespace"),
        ({"s3": None, "backup": "demo"}, backup(status=status("Running")), "spec.backup", "is Running"),
        ({"s3": None, "backup": "demo"}, LEAVES, "spec.backup", "is being deleted"),
        ({"s3": PATH | {"path": ""}}, None, "spec.s3.path", "write s3://bucket"),
        ({"s3": PATH | {"path": "s3://bucket/x.zip"}}, None, "spec.s3.path", "write s3://bucket"),
        ({"s3": PATH | {"provider": "azure"}}, None, "spec.s3.provider", "write one of"),
        ({"overwrite": "All"}, None, "spec.overwrite", "write one of Never, Tables"),
        ({"afterwards": "Wait"}, None, "spec.afterwards", "write one of Keep, Drop"),
        ({"databaseSuffix": "a`b"}, None, "spec.databaseSuffix", "write letters, digits and _ only"),
        (
            {"overwrite": "Tables", "afterwards": "Drop"},
            *(None, "spec.overwrite", "cannot stand beside databaseSuffix or afterwards: Drop"),
        ),
        ({"overwrite": "Tables", "databaseSuffix": "_d"}, None, "spec.overwrite", "cannot stand beside"),
        ({"br": {}}, None, "spec.br", "is not supported"),
        ({"useKMS": True}, None, "spec.useKMS", "is not supported"),
        ({"backupType": "ebs"}, None, "spec.backupType", "write full"),
        ({"env": [{"name": "LD_PRELOAD"}]}, None, "spec.env[0].name", "changes what the worker runs"),
    ],
)
def test_what_is_wrong_names_field_and_cure(
    spec: dict[str, Any], named: Backup | None, path: str, cure: str
) -> None:
    over = resolve(restore(**spec), named)
    assert not isinstance(over, Resolved)
    assert path in [problem.path for problem in over]
    assert cure in "; ".join(map(str, over))
    assert "spec.from" not in str(over)


def test_what_has_no_effect_is_told() -> None:
    told = restore_notices(restore(tikvGCLifeTime="72h", storageType="s3", storageSize="10Gi").spec)
    assert [each.message for each in told] == [
        "spec.tikvGCLifeTime has no effect",
        "spec.storageType has no effect",
    ]
