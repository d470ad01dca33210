"""The CRDs hold every field of the model, described, and mean the same wherever a field stands.

Here is also what model/resource/schedule.py and model/resource/storage_spec.py promise.
"""

import typing
from typing import Any

import attrs
import pytest

from tidbbackup.model.providers import ACLS, HARMLESS_ACLS, PROVIDERS, STORAGE_CLASSES
from tidbbackup.model.resource.backup import BackupSpec, BackupStatus, CleanPolicy
from tidbbackup.model.resource.schedule import BackupScheduleSpec, BackupScheduleStatus
from tidbbackup.model.resource.schema import backup_crd, schedule_crd
from tidbbackup.model.resource.storage_spec import S3Spec, Source

BACKUP_FIELDS = """from s3 storageClassName storageSize backupType serviceAccount tikvGCLifeTime
tableFilter mydumper dumpling cleanPolicy resources tolerations affinity
nodeSelector priorityClassName podSecurityContext imagePullSecrets env
additionalVolumes additionalVolumeMounts backoffRetryPolicy
activeDeadlineSeconds pendingDeadlineSeconds ttlSecondsAfterFinished br gcs
local azblob useKMS storageType toolImage cleanOption volumeAttributesClassName"""
S3_FIELDS = """provider region bucket prefix endpoint secretName acl storageClass options sse
sseKmsKeyId forcePathStyle caSecretName tags"""
STATUS_FIELDS = """phase conditions backupPath backupSize backupSizeReadable commitTs timeStarted
timeCompleted timeTaken progress databases databaseCount checksum
observedGeneration"""
SCHEDULE_FIELDS = """schedule timeZone pause maxBackups maxReservedTime minBackups failedBackupsLimit
startingDeadlineSeconds concurrencyPolicy storageClassName storageSize
serviceAccount imagePullSecrets backupTemplate"""
SCHEDULE_STATUS_FIELDS = """lastBackup lastBackupTime lastSuccessfulBackup lastSuccessfulTime nextBackupTime
successDueTime scheduleSince missedRuns active conditions observedGeneration"""


def part(crd: dict[str, Any], path: str) -> dict[str, Any]:
    """The schema of a part, such as `spec.s3`."""
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for name in path.split("."):
        schema = schema["properties"][name]
    found: dict[str, Any] = schema
    return found


@pytest.mark.parametrize(
    ("crd", "path", "fields"),
    [
        (backup_crd(), "spec", BACKUP_FIELDS),
        (backup_crd(), "spec.from", "host port user secretName tlsClientSecretName"),
        (backup_crd(), "spec.s3", S3_FIELDS),
        (backup_crd(), "spec.mydumper", "options tableRegex"),
        (backup_crd(), "spec.dumpling", "options tableFilter"),
        (backup_crd(), "status", STATUS_FIELDS),
        (backup_crd(), "status.progress", "step dumpedBytes estimatedBytes uploadedBytes percent"),
        (schedule_crd(), "spec", SCHEDULE_FIELDS),
        (schedule_crd(), "spec.backupTemplate", BACKUP_FIELDS),
        (schedule_crd(), "status", SCHEDULE_STATUS_FIELDS),
    ],
)
def test_every_field_of_the_design_is_there(crd: dict[str, Any], path: str, fields: str) -> None:
    assert set(fields.split()) <= set(part(crd, path)["properties"])


@pytest.mark.parametrize(
    ("cls", "crd", "path"),
    [
        (BackupSpec, backup_crd(), "spec"),
        (Source, backup_crd(), "spec.from"),
        (S3Spec, backup_crd(), "spec.s3"),
        (BackupStatus, backup_crd(), "status"),
        (BackupScheduleSpec, schedule_crd(), "spec"),
        (BackupScheduleStatus, schedule_crd(), "status"),
    ],
)
def test_every_attribute_is_in_the_schema(cls: type[Any], crd: dict[str, Any], path: str) -> None:
    names = {"from" if field.name == "source" else field.name for field in attrs.fields(cls)}

    assert names == set(part(crd, path)["properties"])


def walk(schema: dict[str, Any], path: str = "") -> typing.Iterator[tuple[str, dict[str, Any]]]:
    """Every property below a schema, with its path."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}", inner
        yield from walk(inner, f"{path}.{name}")
    if isinstance(schema.get("items"), dict):
        yield from walk(schema["items"], f"{path}[]")


@pytest.mark.parametrize("crd", [backup_crd(), schedule_crd()])
def test_every_field_is_described_and_typed(crd: dict[str, Any]) -> None:
    fields = [found for top in ("spec", "status") for found in walk(part(crd, top), top)]

    assert not [path for path, schema in fields if len(schema.get("description", "")) < 4]
    assert not [path for path, schema in fields if "type" not in schema]


@pytest.mark.parametrize("crd", [backup_crd(), schedule_crd()])
def test_every_text_and_list_of_a_spec_is_bounded(crd: dict[str, Any]) -> None:
    """CEL needs it, and etcd is glad of it."""
    fields = dict(walk(part(crd, "spec"), "spec"))
    free = {
        path for path, schema in fields.items() if schema["type"] == "array" and "properties" not in schema
    }
    unbounded = {
        path for path, schema in fields.items() if schema["type"] == "string" and "maxLength" not in schema
    }

    assert not {path for path in unbounded if "enum" not in fields[path]}
    assert not {
        path for path in free if "maxItems" not in fields[path] and fields[path]["items"]["type"] == "string"
    }


def test_a_number_of_seconds_never_leaves_the_calendar() -> None:
    fields = part(backup_crd(), "spec")["properties"]
    for name in ("activeDeadlineSeconds", "pendingDeadlineSeconds", "ttlSecondsAfterFinished"):
        assert fields[name]["maximum"] == 2**31 - 1


def test_a_backup_and_a_template_mean_the_same() -> None:
    template = part(schedule_crd(), "spec.backupTemplate")
    spec = part(backup_crd(), "spec")

    assert template["properties"] == spec["properties"]
    assert "default" not in spec["properties"]["cleanPolicy"]


@pytest.mark.parametrize(
    ("path", "default"),
    [("spec.from.port", 4000), ("spec.from.user", "root"), ("spec.pendingDeadlineSeconds", 1800)],
)
def test_the_defaults(path: str, default: object) -> None:
    schema = part(backup_crd(), path)

    assert schema["default"] == default
    assert "nullable" not in schema


def test_whether_it_is_paused_is_told_also_where_nobody_wrote_it() -> None:
    assert part(schedule_crd(), "spec.pause")["default"] is False
    assert "default" not in part(schedule_crd(), "spec.backupTemplate.useKMS")


def test_what_has_no_default_may_be_left_empty() -> None:
    acl = part(backup_crd(), "spec.s3.acl")
    policy = part(backup_crd(), "spec.cleanPolicy")

    assert acl["nullable"] is True
    assert policy["enum"] == [*(each.value for each in CleanPolicy), None]


def test_required_is_what_nothing_works_without() -> None:
    assert part(backup_crd(), "spec.from")["required"] == ["host", "secretName"]
    assert part(backup_crd(), "spec.s3")["required"] == ["provider"]
    assert part(schedule_crd(), "spec")["required"] == ["schedule"]


def test_names_and_columns() -> None:
    names = backup_crd()["spec"]["names"], schedule_crd()["spec"]["names"]
    assert [name["shortNames"] for name in names] == [["bk"], ["bks"]]

    def columns(crd: dict[str, Any], priority: int) -> list[str]:
        found = crd["spec"]["versions"][0]["additionalPrinterColumns"]
        return [column["name"] for column in found if column["priority"] == priority]

    assert columns(backup_crd(), 0) == ["Status", "BackupPath", "BackupSize", "CommitTS", "Progress", "Age"]
    assert columns(backup_crd(), 1) == ["Started", "Completed", "TimeTaken", "CleanPolicy", "Reason"]
    assert columns(schedule_crd(), 0) == ["Schedule", "Paused", "MaxBackups", "MaxReservedTime", "Age"]
    assert columns(schedule_crd(), 1) == ["TimeZone", "LastBackup", "LastBackupTime", "LastSuccess", "Next"]


def test_what_a_run_has_begun_with_cannot_change() -> None:
    rules = backup_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"]
    told = " ".join(rule["message"] for rule in rules)

    for field in (
        "from.host",
        "s3.provider",
        "s3.bucket",
        "s3.prefix",
        "s3.endpoint",
        "s3.region",
        "tableFilter",
    ):
        assert f"spec.{field}" in told
    assert "cleanPolicy" not in told


def test_the_tables_of_the_specification() -> None:
    assert list(PROVIDERS) == [
        *(
            "aws",
            "ceph",
            "alibaba",
            "digitalocean",
            "dreamhost",
            "ibmcos",
            "minio",
            "netease",
            "wasabi",
            "other",
        ),
    ]
    assert {name: row.storage_class for name, row in PROVIDERS.items() if row.storage_class} == {
        "aws": "STANDARD_IA"
    }
    assert set(HARMLESS_ACLS) < set(ACLS)


@pytest.mark.parametrize(
    ("field", "words"), [("provider", tuple(PROVIDERS)), ("acl", ACLS), ("storageClass", STORAGE_CLASSES)]
)
def test_each_word_of_the_tables_is_told_by_explain(field: str, words: tuple[str, ...]) -> None:
    description = part(backup_crd(), f"spec.s3.{field}")["description"]

    assert [word for word in words if word not in description] == []
