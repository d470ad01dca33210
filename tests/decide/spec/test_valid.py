"""Bad input: each is named with its field, its value and its cure, and no secret is repeated.

Here is also what decide/problem.py, decide/spec/dumper.py and decide/spec/valid_storage.py promise.
"""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.decide.builders import FROM, S3, backup
from tidbbackup.decide.problem import Problem
from tidbbackup.decide.spec.valid import problems
from tidbbackup.model.resource.backup import BackupSpec

CANARY = "CANARYcanary"
# What TiDB Operator v1.1.0 to v1.1.2 used where a spec said nothing.
V11_OPTIONS = [
    *("--long-query-guard=3600", "--tidb-force-priority=LOW_PRIORITY", "--verbose=3", "--compress-protocol"),
    *("--threads=16", "--rows=10000", "--skip-tz-utc"),
]
V11_REGEX = "^(?!(mysql|test|INFORMATION_SCHEMA|PERFORMANCE_SCHEMA|METRICS_SCHEMA|INSPECTION_SCHEMA))"


def wrong(**parts: Any) -> dict[str, str]:
    """What is wrong with a spec, by path."""
    return {problem.path: str(problem) for problem in problems(backup(**parts).spec)}


@pytest.mark.parametrize(
    ("parts", "path", "cure"),
    [
        ({"s3": {"provider": "azure"}}, "spec.s3.provider", "write one of aws, ceph, alibaba"),
        ({"s3": {"provider": ""}}, "spec.s3.provider", "write one of"),
        ({"s3": {"acl": "open"}}, "spec.s3.acl", "write one of private"),
        ({"s3": {"storageClass": "COLD"}}, "spec.s3.storageClass", "STANDARD_IA"),
        (
            {"s3": {"provider": "ceph", "endpoint": "http://c", "storageClass": "a b"}},
            "spec.s3.storageClass",
            "leave it out",
        ),
        ({"s3": {"bucket": ""}}, "spec.s3.bucket", "is missing"),
        ({"s3": {"bucket": "ab"}}, "spec.s3.bucket", "3 to 255"),
        ({"s3": {"bucket": "a/../b"}}, "spec.s3.bucket", "no . or .."),
        ({"s3": {"bucket": "abc/../b"}}, "spec.s3.bucket", "no . or .."),
        ({"s3": {"bucket": "a..b"}}, "spec.s3.bucket", "single dots"),
        ({"s3": {"bucket": "x" * 256}}, "spec.s3.bucket", "3 to 255"),
        ({"s3": {"bucket": "b$(X)"}}, "spec.s3.bucket", "letters"),
        ({"s3": {"bucket": "bucket//x"}}, "spec.s3.bucket", "no empty part"),
        ({"s3": {"prefix": "a//b"}}, "spec.s3.prefix", "no empty part"),
        ({"s3": {"prefix": "../a"}}, "spec.s3.prefix", "no . or .."),
        ({"s3": {"prefix": "a/./b"}}, "spec.s3.prefix", "no . or .."),
        ({"s3": {"prefix": "a\x01b"}}, "spec.s3.prefix", "no control characters"),
        ({"s3": {"prefix": "a\nb"}}, "spec.s3.prefix", "no control characters"),
        ({"s3": {"prefix": "x" * 1100}}, "spec.s3.prefix", "write a shorter one"),
        ({"s3": {"prefix": "ü" * 500}}, "spec.s3.prefix", "write a shorter one"),
        ({"s3": {"endpoint": "file:///etc/passwd"}}, "spec.s3.endpoint", "http:// or https://"),
        ({"s3": {"endpoint": "ftp://example.com"}}, "spec.s3.endpoint", "http:// or https://"),
        ({"s3": {"endpoint": "https://"}}, "spec.s3.endpoint", "write a URL"),
        ({"s3": {"endpoint": "https://h:0"}}, "spec.s3.endpoint", "write a URL"),
        ({"s3": {"endpoint": "https://h:70000"}}, "spec.s3.endpoint", "write a URL"),
        ({"s3": {"endpoint": "https://h:x"}}, "spec.s3.endpoint", "write a URL"),
        ({"s3": {"endpoint": "https://[::1"}}, "spec.s3.endpoint", "write a URL"),
        ({"s3": {"endpoint": "https://h?a=b"}}, "spec.s3.endpoint", "write a URL"),
        ({"s3": {"endpoint": "https://h#a"}}, "spec.s3.endpoint", "write a URL"),
        ({"s3": {"endpoint": "https://h h"}}, "spec.s3.endpoint", "write a URL"),
        ({"s3": {"endpoint": "https://h\n"}}, "spec.s3.endpoint", "write a URL"),
        ({"s3": {"endpoint": "https://--x"}}, "spec.s3.endpoint", "write a URL"),
        ({"s3": {"provider": "ceph"}}, "spec.s3.endpoint", "is missing"),
        *(
            (
                {"s3": {"provider": "minio", "bucket": "archives", "endpoint": endpoint}},
                "spec.s3.endpoint",
                "holds a path or the bucket",
            )
            for endpoint in (
                "https://archives.s3.eu-west-1.amazonaws.com",
                "https://ARCHIVES.s3.eu-west-1.amazonaws.com",
                "archives.s3.example.com:9000",
                "https://archives.oss-cn-hangzhou.aliyuncs.com",
                "https://archives.nyc3.digitaloceanspaces.com",
                "https://archives.minio.example.com",
                "https://s3.example.com/archives",
                "https://s3.example.com/archives/",
                "https://s3.example.com/other",
            )
        ),
        ({"s3": {"region": "us east"}}, "spec.s3.region", "us-east-1"),
        ({"s3": {"secretName": "A_b"}}, "spec.s3.secretName", "lower case"),
        ({"s3": {"caSecretName": "-x"}}, "spec.s3.caSecretName", "lower case"),
        ({"s3": {"sse": "aes"}}, "spec.s3.sse", "AES256 or aws:kms"),
        ({"s3": {"sseKmsKeyId": "k"}}, "spec.s3.sseKmsKeyId", "sse: aws:kms"),
        ({"s3": {"options": ["--s3-acl=open"]}}, "spec.s3.options", "write one of private"),
        ({"s3": {"options": ["--nonesuch"]}}, "spec.s3.options", "is no flag that we know"),
        ({"s3": {"options": ["--dump=headers"]}}, "spec.s3.options", "keys into the log"),
        ({"s3": {"options": ["--s3-storage-class=COLD"]}}, "spec.s3.options", "write one of STANDARD"),
        ({"s3": {"options": ["--s3-sse-kms-key-id=k"]}}, "spec.s3.sseKmsKeyId", "sse: aws:kms"),
        (
            {"s3": {"sse": "aws:kms", "sseKmsKeyId": "k", "options": ["--s3-server-side-encryption=AES256"]}},
            "spec.s3.sseKmsKeyId",
            "sse: aws:kms",
        ),
        ({"s3": {"options": ["--ca-cert=/ca/x.pem"]}}, "spec.s3.options", "mount its volume"),
        ({"s3": {"tags": {"aws:x": "y"}}}, "spec.s3.tags", "not beginning with aws:"),
        ({"s3": {"tags": {"x": "?"}}}, "spec.s3.tags", "letters, digits, spaces"),
        ({"s3": {"tags": {"": "y"}}}, "spec.s3.tags", "letters, digits, spaces"),
        (
            {"s3": {"provider": "alibaba", "endpoint": "https://x", "acl": "bucket-owner-read"}},
            "spec.s3.acl",
            "knows private, public-read, public-read-write only",
        ),
        (
            {
                "s3": {
                    "provider": "ibmcos",
                    "endpoint": "https://x",
                    "options": ["--s3-acl=bucket-owner-read"],
                }
            },
            "spec.s3.options",
            "knows private, public-read, public-read-write, authenticated-read only",
        ),
        ({"s3": {"options": ["x"]}}, "spec.s3.options", "item 1 is no flag"),
        ({"from_": {"host": "--exec=sh"}}, "spec.from.host", "host name or an IP address"),
        ({"from_": {"host": ""}}, "spec.from.host", "host name or an IP address"),
        ({"from_": {"host": "a b"}}, "spec.from.host", "host name or an IP address"),
        ({"from_": {"host": "h\n"}}, "spec.from.host", "host name or an IP address"),
        ({"from_": {"host": "[::1]"}}, "spec.from.host", "host name or an IP address"),
        ({"from_": {"host": "/tmp/mysql.sock"}}, "spec.from.host", "host name or an IP address"),
        *(
            ({"from_": {"host": host}}, "spec.from.host", "write the port into spec.from.port")
            for host in (
                "db:3306",
                "tidb.ns:4000",
                "10.0.0.1:4000",
                "[::1]:4000",
                "mysql://db",
                "u:p@db",
                "::1:",
            )
        ),
        *(
            ({"from_": {"host": host}}, "spec.from.host", "host name or an IP address")
            for host in ("u@db", "db/x", "a..b", ".a", "-a", "a-", "a" * 64, "fe80::1%eth0", "1::2::3", ":")
        ),
        ({"from_": {"port": 0}}, "spec.from.port", "1 to 65535"),
        ({"from_": {"port": 70000}}, "spec.from.port", "1 to 65535"),
        ({"from_": {"user": ""}}, "spec.from.user", "name of a database user"),
        ({"from_": {"user": "a\nb"}}, "spec.from.user", "name of a database user"),
        ({"from_": {"secretName": ""}}, "spec.from.secretName", "is missing"),
        ({"from_": {"secretName": "a/b"}}, "spec.from.secretName", "lower case"),
        ({"from_": {"tlsClientSecretName": "X"}}, "spec.from.tlsClientSecretName", "lower case"),
        ({"spec": {"storageSize": "10Gx"}}, "spec.storageSize", "10Gi"),
        ({"spec": {"storageSize": "0"}}, "spec.storageSize", "10Gi"),
        ({"spec": {"storageClassName": "A B"}}, "spec.storageClassName", "lower case"),
        ({"spec": {"serviceAccount": "A"}}, "spec.serviceAccount", "lower case"),
        ({"spec": {"cleanPolicy": "Shred"}}, "spec.cleanPolicy", "Retain, OnFailure, Delete"),
        ({"spec": {"compression": "xz"}}, "spec.compression", "write one of gzip, zstd"),
        ({"spec": {"tikvGCLifeTime": "soon"}}, "spec.tikvGCLifeTime", "72h"),
        (
            {"spec": {"backoffRetryPolicy": {"minRetryDuration": "soon"}}},
            *("spec.backoffRetryPolicy.minRetryDuration", "a duration such as"),
        ),
        (
            {"spec": {"backoffRetryPolicy": {"retryTimeout": ""}}},
            *("spec.backoffRetryPolicy.retryTimeout", "a duration such as"),
        ),
        ({"spec": {"tikvGCLifeTime": "-1h"}}, "spec.tikvGCLifeTime", "72h"),
        ({"spec": {"tikvGCLifeTime": "366d"}}, "spec.tikvGCLifeTime", "8760h"),
        ({"spec": {"br": {"cluster": "c"}}}, "spec.br", "remove it"),
        ({"spec": {"br": {}}}, "spec.br", "remove it"),
        ({"spec": {"gcs": {}}}, "spec.gcs", "s3 only"),
        ({"spec": {"local": {}}}, "spec.local", "s3 only"),
        ({"spec": {"azblob": {}}}, "spec.azblob", "s3 only"),
        ({"spec": {"useKMS": True}}, "spec.useKMS", "plain password"),
        ({"spec": {"backupType": "db"}}, "spec.backupType", "write full"),
        ({"spec": {"tableFilter": ["a"]}}, "spec.tableFilter", "`a`: has no dot"),
        ({"spec": {"tableFilter": ["!a.b"]}}, "spec.tableFilter", "begin with *.*"),
        (
            {"spec": {"dumpling": {"tableFilter": ["@f"]}}},
            "spec.dumpling.tableFilter",
            "write the rules here",
        ),
        (
            {"spec": {"tableFilter": ["a.b"], "mydumper": {"tableRegex": "x"}}},
            "spec.tableFilter",
            "cannot stand beside spec.mydumper.tableRegex",
        ),
        (
            {"spec": {"tableFilter": ["a.b"], "dumpling": {"tableFilter": ["a.c"]}}},
            "spec.dumpling.tableFilter",
            "remove it",
        ),
        ({"spec": {"dumpling": {"options": ["--sql=x"]}}}, "spec.dumpling.options", "only whole tables"),
        (
            {"spec": {"dumpling": {"options": ["-t=4"]}, "mydumper": {"options": ["--threads=3"]}}},
            "spec.mydumper.options",
            "has no meaning for dumpling, which makes the dump: remove it, or set spec.dumper: mydumper",
        ),
        (
            {"spec": {"dumper": "dumpling", "mydumper": {"tableRegex": "^a"}}},
            "spec.mydumper.tableRegex",
            "or set spec.dumper: mydumper",
        ),
        (
            {"spec": {"dumper": "mydumper", "dumpling": {"options": ["-t=4"]}}},
            "spec.dumpling.options",
            "or set spec.dumper: dumpling",
        ),
        ({"spec": {"dumper": "mysqldump"}}, "spec.dumper", "choose mydumper or dumpling"),
        (
            {"spec": {"mydumper": {"options": ["--outputdir=/"]}}},
            "spec.mydumper.options",
            "'--outputdir': is not allowed: where files go",
        ),
        ({"spec": {"mydumper": {"options": ["--exec=sh"]}}}, "spec.mydumper.options", "runs programs"),
        ({"spec": {"mydumper": {"options": ["--unheard-of"]}}}, "spec.mydumper.options", "allowed are"),
        ({"spec": {"mydumper": {"options": ["--rows=many"]}}}, "spec.mydumper.options", "a whole number"),
        ({"spec": {"mydumper": {"options": ["--threads=0"]}}}, "spec.mydumper.options", "at least 1"),
        ({"spec": {"mydumper": {"options": ["--no-locks=1"]}}}, "spec.mydumper.options", "takes no value"),
        (
            {"spec": {"mydumper": {"options": ["-t", "4"]}}},
            "spec.mydumper.options",
            "item 1 is not of the form",
        ),
        (
            {"spec": {"mydumper": {"options": ["--set-names=1\n"]}}},
            "spec.mydumper.options",
            "control character",
        ),
        ({"spec": {"mydumper": {"tableRegex": "a\0"}}}, "spec.mydumper.tableRegex", "control character"),
        ({"spec": {"mydumper": {"tableRegex": "(a"}}}, "spec.mydumper.tableRegex", "no regular expression"),
        ({"spec": {"env": [{"name": "A"}, {"name": "DB_PASSWORD"}]}}, "spec.env[1].name", "another name"),
        ({"spec": {"env": [{"name": "DB_TLS_DIR", "value": "/x"}]}}, "spec.env[0].name", "another name"),
        ({"spec": {"env": [{"name": "S3_TLS_DIR", "valueFrom": {}}]}}, "spec.env[0].name", "another name"),
        ({"spec": {"env": [{"name": "AWS_ACCESS_KEY_ID"}]}}, "spec.env[0].name", "another name"),
        *(
            ({"spec": {"env": [{"name": name, "value": "/x"}]}}, "spec.env[0].name", "remove it")
            for name in (
                *("PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD", "LD_LIBRARY_PATH", "GCONV_PATH"),
                *("OPENSSL_CONF", "TIDBBACKUP_WHATEVER"),
            )
        ),
        *(
            ({"spec": {"podLabels": {name: "x"}}}, "spec.podLabels", "another name")
            for name in (
                *("tidb.pingcap.com/backup", "tidb.pingcap.com/x", "app.kubernetes.io/component"),
                *("app.kubernetes.io/name", "app.kubernetes.io/managed-by", "job-name", "controller-uid"),
                "batch.kubernetes.io/job-name",
            )
        ),
        *(
            ({"spec": {"podLabels": {name: "x"}}}, "spec.podLabels", "write the name of a label")
            for name in ("", "-a", "a b", "a/b/c", "/a", "A.b/c", "x" * 64, "a\n", f"{'x' * 254}/a")
        ),
        *(
            ({"spec": {"podLabels": {"a.b/c": value}}}, "spec.podLabels.a.b/c", "the value of a label")
            for value in ("x" * 64, "-", "a b", "a/b", "größe", "a\n")
        ),
    ],
)
def test_it_is_named_with_its_cure(parts: dict[str, Any], path: str, cure: str) -> None:
    found = wrong(**parts)

    assert cure in found[path], found
    assert found[path].startswith(f"{path}: ")


@pytest.mark.parametrize(
    "parts",
    [
        {},
        *(
            {"from_": {"host": host}}
            for host in ("::1", "2001:db8::1", "::ffff:10.0.0.1", "10.0.0.1", "tidb.ns.svc.")
        ),
        {"from_": {"host": "10.0.0.1", "user": "back up"}},
        {"from_": {"host": "tidb.ns.svc.cluster.local."}},
        {"s3": {"bucket": "Bad_Bucket"}},
        {"s3": {"bucket": "bucket/folder/deeper"}},
        {"s3": {"bucket": "bucket/"}},
        {"s3": {"prefix": "/a/b/"}},
        {"s3": {"prefix": "größe $(X) ${y}"}},
        {"s3": {"endpoint": "rgw.example:7480"}},
        {"s3": {"bucket": "minio", "endpoint": "http://minio.minio.svc:9000"}},
        {"s3": {"bucket": "minio", "endpoint": "http://minio.storage.svc.cluster.local:9000"}},
        {"s3": {"bucket": "backup", "endpoint": "https://backup.example.com"}},
        {"s3": {"bucket": "archives/s3", "endpoint": "https://s3.example.com"}},
        {"s3": {"endpoint": "https://[::1]:9000/"}},
        {"s3": {"provider": "ceph", "endpoint": "http://rgw", "storageClass": "my.class-1"}},
        {"s3": {"acl": "bucket-owner-read", "storageClass": "GLACIER", "sse": "AES256"}},
        {"s3": {"sse": "aws:kms", "sseKmsKeyId": "arn:aws:kms:x"}},
        {"s3": {"options": ["--ignore-checksum", "--stats", "1s", "-v"]}},
        {"s3": {"options": ["--s3-server-side-encryption=aws:kms", "--s3-sse-kms-key-id", "k"]}},
        {"s3": {"acl": "bucket-owner-full-control", "provider": "digitalocean", "endpoint": "https://x"}},
        {"s3": {"tags": {"größe a/b": "", "x": "+-=._:/@"}}},
        {
            "s3": {"options": ["--ca-cert=/ca/deep/x.pem"]},
            "spec": {"additionalVolumeMounts": [{"name": "ca", "mountPath": "/ca/"}]},
        },
        {"s3": {"secretName": ""}, "spec": {"env": [{"name": "AWS_ACCESS_KEY_ID", "value": "x"}]}},
        {
            "spec": {
                "storageSize": "1Ei",
                "storageClassName": "",
                "cleanPolicy": "Delete",
                "backupType": "full",
            }
        },
        {"spec": {"storageSize": "1e999999999"}},
        {"spec": {"podLabels": {"sidecar.istio.io/inject": "false", "a": "", "B_c.d-e": "1" * 63}}},
        {"spec": {"podLabels": {"app.kubernetes.io/instance": "x"}, "env": [{"name": "TZ", "value": "x"}]}},
        {"spec": {"mydumper": {"options": ["--threads=4", "--tidb-force-priority=LOW_PRIORITY"]}}},
        {"spec": {"mydumper": {"options": V11_OPTIONS, "tableRegex": V11_REGEX}}},
        {"spec": {"dumpling": {"options": ["--threads=16", "--rows=10000"], "tableFilter": ["a.*", "!a.b"]}}},
        {"spec": {"tableFilter": ["*.*"], "dumpling": {"tableFilter": ["*.*"]}}},
        {"spec": {"mydumper": {}, "dumpling": {}, "tikvGCLifeTime": "3d", "env": [{}, {"name": "X"}]}},
    ],
)
def test_nothing_is_wrong(parts: dict[str, Any]) -> None:
    assert wrong(**parts) == {}


def test_without_source_and_storage() -> None:
    assert [problem.path for problem in problems(BackupSpec())] == ["spec.from", "spec.s3"]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert set(wrong(from_={"port": 0}, s3={"bucket": ""}, spec={"br": {}})) == {
        "spec.from.port",
        "spec.s3.bucket",
        "spec.br",
    }


@pytest.mark.parametrize(
    "parts",
    [
        {"s3": {"options": [f"--s3-secret-access-key={CANARY}"]}},
        {"s3": {"options": ["--s3-secret-access-key", CANARY]}},
        {"s3": {"options": [f"--s3-secret-access-key {CANARY}"]}},
        {"s3": {"options": ["-v", "1", CANARY]}},
        {"s3": {"endpoint": f"https://user:{CANARY}@h"}},
        {"s3": {"endpoint": f"ftp://user:{CANARY}@h"}},
        {"s3": {"endpoint": f"https://user:{CANARY}@[h"}},
        {"s3": {"endpoint": f"https://user:{CANARY}@h:x"}},
        {"s3": {"endpoint": f"user:{CANARY}@h"}},
        {"s3": {"endpoint": f"https://h/?X-Amz-Signature={CANARY}"}},
        {"spec": {"mydumper": {"options": [f"--password={CANARY}"]}}},
        {"spec": {"mydumper": {"options": [f"--password {CANARY}"]}}},
        {"spec": {"mydumper": {"options": ["--password", CANARY]}}},
        {"spec": {"mydumper": {"options": [f"--rows={CANARY}"]}}},
        {"spec": {"dumpling": {"options": ["--password", CANARY]}}},
        {"spec": {"dumpling": {"options": [f"-p{CANARY}"]}}},
        {"spec": {"dumpling": {"options": [CANARY]}}},
        {"spec": {"dumpling": {"options": ["--threads", CANARY]}}},
        {"spec": {"env": [{"name": "DB_PASSWORD", "value": CANARY}]}},
    ],
)
def test_what_may_be_a_secret_is_not_shown(parts: dict[str, Any]) -> None:
    found = wrong(**parts)

    assert found
    assert CANARY not in " ".join(found.values())


def test_a_host_of_a_megabyte_is_judged_at_once_and_shown_in_part() -> None:
    began = time.process_time()
    found = wrong(from_={"host": "a." * 500_000 + "-"})

    assert time.process_time() - began < 5
    assert len(found["spec.from.host"]) < 200


def test_a_value_that_is_none_is_not_shown() -> None:
    assert str(Problem("spec.s3", None, "is missing")) == "spec.s3: is missing"
    assert str(Problem("spec.from.port", 0, "write")) == "spec.from.port: 0: write"


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "host": st.text(max_size=20),
            "user": st.text(max_size=5),
            "port": st.integers(-5, 70000),
        },
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "bucket": st.text(max_size=20),
            "prefix": st.text(max_size=20),
            "endpoint": st.text("htps:/[]@.%?#1x ", max_size=20) | st.text(max_size=20),
            "options": st.lists(st.text(max_size=8), max_size=3),
            "provider": st.sampled_from(["aws", "ceph", "x"]),
        },
    ),
)
def test_judging_never_raises(source: dict[str, Any], s3: dict[str, Any]) -> None:
    surrogates = str(source | s3)
    if not surrogates.isascii() and any(0xD800 <= ord(letter) < 0xE000 for letter in surrogates):
        return
    found = problems(backup({"from": FROM | source, "s3": S3 | s3}).spec)

    assert all(problem.path and problem.cure for problem in found)
