"""What is wrong with a spec: every problem with its field, its value and its cure.

Everything is judged here that the schema lets through, so that a corrected spec becomes valid without being
created again. Must not know the cluster: what only a server can tell (a bucket that is missing, a name that
does not resolve) is found by the worker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tidbbackup.decide.problem import Problem, has_control, is_host, object_name
from tidbbackup.decide.spec.dumper import dumper_problems
from tidbbackup.decide.spec.valid_storage import storage
from tidbbackup.model.compression import Compression
from tidbbackup.model.contract.task import LONGEST_GC_LIFE_TIME, PASSWORD_VARIABLE, TASK_VARIABLE
from tidbbackup.model.resource.backup import BackupSpec, CleanPolicy
from tidbbackup.model.resource.storage_spec import Source
from tidbbackup.model.units import parse_duration, parse_quantity
from tidbbackup.model.wire import objects

RESERVED_ENV = (
    *(TASK_VARIABLE, PASSWORD_VARIABLE, "POD_IP"),
    *("RUN_DIR", "STAGING_DIR", "DB_TLS_DIR", "S3_TLS_DIR", "TERMINATION_LOG"),
)
KEY_ENV = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Set by us too where s3.secretName is."""
TAKES_OVER = ("PYTHON", "LD_", "TIDBBACKUP_", "GCONV_PATH", "OPENSSL_CONF")
"""With a volume of the user's beside them such variables run other code in the worker's place."""
_LABEL_NAME = re.compile(
    r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
)
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_LABELS_TAKEN = re.compile(
    r"app\.kubernetes\.io/(name|component|managed-by)|tidb\.pingcap\.com/.*|batch\.kubernetes\.io/.*"
    r"|controller-uid|job-name"
)


def problems(spec: BackupSpec) -> tuple[Problem, ...]:
    """Everything wrong with a Backup's spec, in the order of the schema; empty means valid."""
    return (*_source(spec.source), *storage(spec), *_unsupported(spec), *_the_rest(spec))


def _source(source: Source | None) -> Iterator[Problem]:
    if source is None:
        yield Problem("spec.from", None, "is missing: name the database (host, port, user, secretName)")
        return
    if not is_host(source.host):
        port = "; write the port into spec.from.port" if ":" in source.host else ""
        yield Problem(
            "spec.from.host", source.host, f"write a host name or an IP address, nothing else{port}"
        )
    if not 1 <= source.port <= 65535:
        yield Problem("spec.from.port", source.port, "write a port from 1 to 65535")
    if not source.user or has_control(source.user):
        yield Problem("spec.from.user", source.user, "write the name of a database user")
    yield from object_name("spec.from.secretName", source.secretName, needed=True)
    yield from object_name("spec.from.tlsClientSecretName", source.tlsClientSecretName)


def _unsupported(spec: BackupSpec) -> Iterator[Problem]:
    for name in ("gcs", "local", "azblob"):
        if getattr(spec, name) is not None:
            yield Problem(f"spec.{name}", None, "is not supported: archives go to s3 only")
    if spec.br is not None:
        yield Problem("spec.br", None, "is not supported: remove it for a logical backup with mydumper")
    if spec.useKMS:
        yield Problem("spec.useKMS", spec.useKMS, "is not supported: put the plain password into the Secret")
    if spec.backupType not in ("", "full"):
        yield Problem("spec.backupType", spec.backupType, "write full, or leave it out")


def _the_rest(spec: BackupSpec) -> Iterator[Problem]:
    if spec.storageSize and not _positive_quantity(spec.storageSize):
        yield Problem("spec.storageSize", spec.storageSize, "write a size such as 10Gi")
    yield from object_name("spec.storageClassName", spec.storageClassName or "")
    yield from object_name("spec.serviceAccount", spec.serviceAccount)
    if spec.cleanPolicy is not None and spec.cleanPolicy not in set(CleanPolicy):
        yield Problem("spec.cleanPolicy", spec.cleanPolicy, f"write one of {', '.join(CleanPolicy)}")
    if spec.compression not in set(Compression):
        yield Problem("spec.compression", spec.compression, f"write one of {', '.join(Compression)}")
    if spec.tikvGCLifeTime:
        yield from _life_time("spec.tikvGCLifeTime", spec.tikvGCLifeTime)
    if spec.backoffRetryPolicy:
        for name in ("minRetryDuration", "retryTimeout"):
            yield from _duration(f"spec.backoffRetryPolicy.{name}", getattr(spec.backoffRetryPolicy, name))
    yield from dumper_problems(spec)
    taken = RESERVED_ENV + (KEY_ENV if spec.s3 and spec.s3.secretName else ())
    for index, variable in enumerate(objects(spec.env)):
        if variable.get("name") in taken:
            yield Problem(
                f"spec.env[{index}].name", variable["name"], "is set by tidbbackup: use another name"
            )
        elif str(variable.get("name")).startswith(TAKES_OVER):
            yield Problem(
                f"spec.env[{index}].name", variable["name"], "changes what the worker runs: remove it"
            )
    yield from _pod_labels(spec.podLabels or {})


def _pod_labels(labels: dict[str, str]) -> Iterator[Problem]:
    for name, value in labels.items():
        if not _LABEL_NAME.fullmatch(name):
            cure = (
                "write the name of a label ([prefix/]name: letters, digits, -, _ and ., up to 63 characters)"
            )
            yield Problem("spec.podLabels", name, cure)
        elif _LABELS_TAKEN.fullmatch(name):
            yield Problem("spec.podLabels", name, "is set by tidbbackup or Kubernetes: use another name")
        elif not _LABEL_VALUE.fullmatch(value):
            cure = "write the value of a label (letters, digits, -, _ and ., up to 63 characters)"
            yield Problem(f"spec.podLabels.{name}", value, cure)


def _duration(path: str, text: str) -> Iterator[Problem]:
    try:
        parse_duration(text)
    except ValueError:
        yield Problem(path, text, "write a duration such as 30m, 72h or 3d")


def _life_time(path: str, text: str) -> Iterator[Problem]:
    try:
        fits = parse_duration(text) <= LONGEST_GC_LIFE_TIME
    except ValueError:
        fits = False
    if not fits:
        yield Problem(path, text, "write a duration up to 8760h, such as 30m, 72h or 3d")


def _positive_quantity(text: str) -> bool:
    try:
        return parse_quantity(text) > 0
    except ValueError:
        return False
