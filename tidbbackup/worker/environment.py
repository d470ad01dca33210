"""The worker's environment: the task and every path it uses, read once, checked, frozen.

Must not know what is done with it. Secrets are kept out of every repr.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from tidbbackup.model.contract.task import PASSWORD_VARIABLE, TASK_VARIABLE, WorkerTask, decode_task
from tidbbackup.storage.client import proxies_from
from tidbbackup.worker.failure import UsageError

_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@frozen
class Environment:
    """What a Job of ours gives its worker."""

    task: WorkerTask
    staging: Path
    """Volume for the dump; the worker may empty it."""
    run_dir: Path
    """In memory: the defaults file with the password."""
    db_tls: Path
    s3_tls: Path
    termination_log: Path
    search_path: str
    """PATH, where mydumper is looked for."""
    password: bytes | None = field(repr=False)
    """None: not given at all."""
    keys: Mapping[str, str] = field(repr=False)
    """The AWS keys that were given, empty ones too."""
    proxies: Mapping[str, str] = field(repr=False, factory=dict)
    """Through which the storage is reached; their URLs may hold a password."""
    pod_ip: str = ""
    """Where metrics and progress are served; nowhere if empty."""

    @property
    def s3_ca(self) -> Path | None:
        """The CA to trust for the storage, None for the public ones."""
        return self.s3_tls / "ca.crt" if self.task.target.customCa else None


def termination_log(environ: Mapping[str, str]) -> Path:
    """Where the termination message is written; known even if the rest of the environment is wrong."""
    return Path(environ.get("TERMINATION_LOG") or "/dev/termination-log")


def read_environment(environ: Mapping[str, str]) -> Environment:
    """Read and check the environment.

    Raises:
        UsageError: the task is missing or cannot be read.
    """
    text = environ.get(TASK_VARIABLE)
    if not text:
        raise UsageError(f"{TASK_VARIABLE} is not set: the worker is started by the controller's Job")
    try:
        task = decode_task(text)
    except ValueError as error:
        raise UsageError(str(error)) from error
    password = environ.get(PASSWORD_VARIABLE)
    return Environment(
        task=task,
        staging=Path(environ.get("STAGING_DIR") or "/backup"),
        run_dir=Path(environ.get("RUN_DIR") or "/run/tidbbackup"),
        db_tls=Path(environ.get("DB_TLS_DIR") or "/tls/db"),
        s3_tls=Path(environ.get("S3_TLS_DIR") or "/tls/s3"),
        termination_log=termination_log(environ),
        search_path=environ.get("PATH") or "/usr/local/bin:/usr/bin:/bin",
        # Bytes that are no UTF-8 come as surrogates; the server wants them as they were.
        password=None if password is None else password.encode("utf-8", "surrogateescape"),
        keys={name: environ[name] for name in _KEYS if name in environ},
        proxies=proxies_from(environ, task.target),
        pod_ip=environ.get("POD_IP", ""),
    )
