"""A Backup in the worker's terms: defaults by provider, the archive's key, what has no effect.

Here is also what decide/spec/storage_target.py promises.
"""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.decide.builders import KEY, UID, backup, task_of
from tidbbackup.decide.spec.storage_target import object_target
from tidbbackup.decide.spec.task import clean_policy, notices, resolve_backup
from tidbbackup.model.contract.task import DatabaseTarget, DumperName, DumpSettings, WorkerTask
from tidbbackup.model.names import DUE_TIME, SCHEDULE_LABEL
from tidbbackup.model.providers import Transfer
from tidbbackup.model.resource.backup import CleanPolicy


@pytest.mark.parametrize(
    ("s3", "expected"),
    [
        (
            {},
            {
                "storageClass": "STANDARD_IA",
                "region": "us-east-1",
                "pathStyle": False,
                "endpoint": "",
                "acl": "",
            },
        ),
        ({"region": "eu-west-1", "acl": "private"}, {"region": "eu-west-1", "acl": "private"}),
        ({"storageClass": "GLACIER"}, {"storageClass": "GLACIER"}),
        ({"endpoint": "https://x/"}, {"endpoint": "https://x", "pathStyle": True}),
        ({"endpoint": "x:9000"}, {"endpoint": "https://x:9000"}),
        (
            {"provider": "ceph", "endpoint": "x"},
            {"endpoint": "http://x", "storageClass": "", "pathStyle": True},
        ),
        ({"provider": "alibaba", "endpoint": "https://x"}, {"pathStyle": False}),
        ({"provider": "wasabi", "endpoint": "https://x"}, {"pathStyle": True}),
        ({"provider": "alibaba", "endpoint": "https://x", "forcePathStyle": True}, {"pathStyle": True}),
        ({"provider": "minio", "endpoint": "https://x", "forcePathStyle": False}, {"pathStyle": False}),
        ({"bucket": "bucket"}, {"bucket": "bucket", "key": KEY}),
        ({"prefix": "/a/b/"}, {"key": f"a/b/{KEY}"}),
        ({"bucket": "bucket/x/y", "prefix": "a"}, {"bucket": "bucket", "key": f"x/y/a/{KEY}"}),
        ({"bucket": "bucket/x"}, {"bucket": "bucket", "key": f"x/{KEY}"}),
        ({"sse": "aws:kms", "sseKmsKeyId": "k"}, {"sse": "aws:kms", "sseKmsKeyId": "k"}),
        ({"caSecretName": "ca"}, {"customCa": True}),
        (
            {"caSecretName": "ca", "options": ["--ca-cert=/ca/x.pem", "--bwlimit=1M"]},
            {"customCa": False, "transfer": Transfer(caFile="/ca/x.pem", bytesPerSecond=1 << 20)},
        ),
        (
            {"storageClass": "GLACIER", "acl": "private", "options": ["--s3-storage-class=", "--s3-acl="]},
            {"storageClass": "", "acl": ""},
        ),
        (
            {"endpoint": "https://x", "options": ["--s3-force-path-style=false", "--s3-acl=public-read"]},
            {"pathStyle": False, "acl": "public-read"},
        ),
        (
            {"provider": "digitalocean", "endpoint": "https://x", "acl": "bucket-owner-full-control"},
            {"acl": ""},
        ),
        ({"tags": {"a": "b"}}, {"tags": {"a": "b"}}),
    ],
)
def test_where_the_archive_goes(s3: dict[str, Any], expected: dict[str, Any]) -> None:
    target = object_target(backup(s3=s3))

    assert {name: getattr(target, name) for name in expected} == expected


def test_two_backups_never_share_a_key() -> None:
    other = backup(uid="fedcba98-0000-0000-0000-000000000000")

    assert object_target(other).key != object_target(backup()).key


def test_the_whole_task() -> None:
    task = task_of(
        backup(
            {
                "storageSize": "1Gi",
                "mydumper": {"options": ["--threads=2", "--no-locks"], "tableRegex": "^a"},
            },
            from_={"port": 3306, "user": "u", "tlsClientSecretName": "tls"},
        )
    )

    assert (task.backup, task.namespace, task.uid, task.keysInSecret) == ("demo", "ns", UID, True)
    assert task.database == DatabaseTarget("tidb", 3306, "u", tls=True)
    assert task.dump == DumpSettings(("--threads=2", "--no-locks"), "^a")
    assert task.stagingBytes == 2**30


def test_filter_and_dumplings_options_reach_the_worker() -> None:
    spec = {"dumpling": {"options": ["-t", "4", "--filesize=256MiB"], "tableFilter": ["a.*"]}}

    options = ("-t", "4", "--filesize=256MiB")
    settings = DumpSettings(options, tableFilter=("a.*",), dumper=DumperName.DUMPLING)
    assert task_of(backup(spec)).dump == settings
    assert task_of(backup(spec | {"tableFilter": ["a.*"]})).dump == settings


@pytest.mark.parametrize(
    ("spec", "dumper"),
    [
        ({}, "mydumper"),
        ({"mydumper": {"options": ["--rows=1"]}}, "mydumper"),
        ({"dumpling": {}}, "dumpling"),
        ({"dumpling": {}, "mydumper": {}}, "dumpling"),
        ({"dumper": "dumpling"}, "dumpling"),
        ({"dumper": "mydumper", "dumpling": {"tableFilter": ["a.*"]}}, "mydumper"),
    ],
)
def test_which_program_reads_the_rows(spec: dict[str, Any], dumper: str) -> None:
    assert task_of(backup(spec)).dump.dumper == dumper


def test_what_a_fork_alone_knows_never_reaches_mydumper() -> None:
    spec = {"mydumper": {"options": ["--tidb-force-priority=LOW_PRIORITY", "--rows=1"]}}

    assert task_of(backup(spec)).dump.options == ("--rows=1",)


def test_the_worker_knows_whether_its_keys_are_in_a_secret() -> None:
    assert task_of(backup()).keysInSecret
    assert not task_of(backup(s3={"secretName": ""})).keysInSecret


def test_of_a_spec_in_which_anything_is_wrong_there_is_no_task() -> None:
    """All that is wrong is told instead."""
    wrong = resolve_backup(backup({"cleanPolicy": "No", "from": None}, s3={"sse": "x"}))
    assert not isinstance(wrong, WorkerTask)
    assert [problem.path for problem in wrong] == ["spec.from", "spec.s3.sse", "spec.cleanPolicy"]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({}, []),
        ({"spec": {"storageType": "s3"}}, ["spec.storageType has no effect"]),
        ({"spec": {"toolImage": "x"}}, ["spec.toolImage has no effect"]),
        (
            {"spec": {"backupMode": "snapshot", "calcSizeLevel": "all"}},
            [
                "spec.backupMode, spec.calcSizeLevel have no effect: only BR uses such fields, and this "
                "Backup is a logical one, made by mydumper or dumpling"
            ],
        ),
        ({"spec": {"cleanOption": {}}}, ["spec.cleanOption has no effect"]),
        ({"spec": {"volumeAttributesClassName": "x"}}, ["spec.volumeAttributesClassName has no effect"]),
        ({"s3": {"path": "s3://x"}}, ["spec.s3.path has no effect"]),
        ({"s3": {"options": ["--ignore-checksum", "--fast-list"]}}, ["s3 option --fast-list has no effect"]),
        (
            {"s3": {"acl": "private", "options": ["--s3-acl=public-read"]}},
            ["s3 option --s3-acl (public-read) wins over spec.s3.acl (private)"],
        ),
        ({"s3": {"acl": "private", "options": ["--s3-acl=private"]}}, []),
        ({"s3": {"options": ["--s3-acl=private"]}}, []),
        (
            {"s3": {"forcePathStyle": False, "options": ["--s3-force-path-style"]}},
            ["s3 option --s3-force-path-style (True) wins over spec.s3.forcePathStyle (False)"],
        ),
        (
            {"s3": {"caSecretName": "ca", "options": ["--ca-cert=/ca/x.pem"]}},
            ["s3 option --ca-cert wins over spec.s3.caSecretName"],
        ),
        (
            {"s3": {"options": ["--s3-chunk-size=1G", "--retries=9", "--timeout", "5m"]}},
            [
                "s3 option --retries has no effect",
                "s3 option --timeout has no effect",
                "s3 option --s3-chunk-size: parts have 512M, the most that memory is used for",
            ],
        ),
        ({"s3": {"options": ["--s3-chunk-size=512M"]}}, []),
        (
            {"s3": {"provider": "digitalocean", "endpoint": "https://x", "acl": "bucket-owner-full-control"}},
            ["DigitalOcean Spaces does not know acl bucket-owner-full-control: none is sent"],
        ),
        ({"s3": {"endpoint": "x"}}, ["spec.s3.endpoint has no scheme: https://x is used"]),
        (
            {"spec": {"dumpling": {"options": ["--loglevel", "debug", "-t", "2"]}}},
            ["dumpling option --loglevel has no effect"],
        ),
        (
            {"spec": {"mydumper": {"options": ["--tidb-force-priority=x", "--rows=1"]}}},
            ["--tidb-force-priority is known to a fork of mydumper only: it has no effect"],
        ),
    ],
)
def test_what_has_no_effect(parts: dict[str, Any], told: list[str]) -> None:
    assert [notice.message for notice in notices(backup(**parts).spec)] == told


@pytest.mark.parametrize(
    "spec",
    [
        {"mydumper": {"options": ["x"]}},
        {"dumpling": {"options": ["x"]}},
        {"s3": {"provider": "aws", "options": ["x"]}},
    ],
)
def test_options_edited_into_nonsense_never_stop_a_run(spec: dict[str, Any]) -> None:
    """`s3.options` may be edited at any time, and a run that has begun has to end all the same."""
    assert notices(backup(spec).spec) == ()


def test_nothing_is_asked_of_an_empty_spec() -> None:
    assert notices(backup({"s3": None, "from": None}).spec) == ()


SCHEDULED = {"labels": {SCHEDULE_LABEL: "s"}, "annotations": {DUE_TIME: "2026-11-23T03:00:00Z"}}


@pytest.mark.parametrize(
    ("spec", "meta", "policy"),
    [
        ({}, {}, CleanPolicy.RETAIN),
        ({}, SCHEDULED, CleanPolicy.DELETE),
        ({}, {"labels": {SCHEDULE_LABEL: "s"}}, CleanPolicy.RETAIN),
        ({"cleanPolicy": "OnFailure"}, SCHEDULED, CleanPolicy.ON_FAILURE),
        ({"cleanPolicy": "Delete"}, {}, CleanPolicy.DELETE),
        ({"cleanPolicy": "Retain"}, SCHEDULED, CleanPolicy.RETAIN),
        ({"cleanPolicy": "Shred"}, SCHEDULED, CleanPolicy.RETAIN),
    ],
)
def test_the_policy_in_force(spec: dict[str, Any], meta: dict[str, Any], policy: CleanPolicy) -> None:
    assert clean_policy(backup(spec, **meta)) is policy


@pytest.mark.parametrize(
    ("spec", "end"), [({}, ".tgz"), ({"compression": "gzip"}, ".tgz"), ({"compression": "zstd"}, ".tar.zst")]
)
def test_the_key_tells_the_creation_in_utc_and_the_compression(spec: dict[str, Any], end: str) -> None:
    target = object_target(backup(spec, creationTimestamp=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)))

    assert target.key == f"backup-20260102T030405Z-01234567{end}"
    assert target.compression == spec.get("compression", "gzip")
