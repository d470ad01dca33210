"""One run of a worker, and its bounds in time. Must not know the steps."""

from __future__ import annotations

from pathlib import Path

from attrs import field, frozen

from tidbbackup.model import reasons
from tidbbackup.storage.client import Patience
from tidbbackup.worker.database.session import Login
from tidbbackup.worker.environment import Environment
from tidbbackup.worker.failure import Journal, StepFailed


@frozen
class Limits:
    """Bounds in time. Seconds."""

    stall: float = 1800
    """The run ends after this time without a byte from the database or to the storage."""
    lock_wait: float = 30
    """For the global read lock: all that writes to the server waits behind it."""
    lock_pauses: tuple[float, ...] = (30, 60, 120)
    """Before it is asked for again."""
    idle: float = 60
    """For a dumper that does nothing any more."""
    connect: float = 30
    """For the first connection to the database: no further try is begun after that."""
    withdraw: float = 10
    """For taking back an upload; a pod that is asked to end has 30."""
    renewal: float = 60
    """Between two signs of life in the ledger of GC life times; its holders expire after ten of these."""
    release: float = 120
    """For putting back the GC life time after a run, the connection included; the next Job tries again."""
    put_back: float = 8
    """For putting the GC life time back."""
    keep_log: float = 10
    """For writing the log's end into the bucket; the result is said before. A pod with a tenth of a CPU takes
    some seconds to make a client."""
    patience: Patience = field(factory=Patience)


@frozen
class Run:
    """One run: what it has to do, where it notes how far it is, how long it may take, and the database."""

    env: Environment
    journal: Journal
    limits: Limits
    login: Login


def read_login(env: Environment, spec: str = "spec.from") -> Login:
    """Where and as whom to log in.

    Raises:
        StepFailed: InternalError, LoginFailed.
    """
    database = env.task.database
    if database is None:
        raise StepFailed(reasons.INTERNAL_ERROR, "the task names no database")
    if env.password is None:
        raise StepFailed(
            reasons.LOGIN_FAILED, f"no password given: the Secret of {spec}.secretName needs `password`"
        )
    tls = _certificates(env.db_tls, spec) if database.tls else None
    return Login(database, env.password, tls, spec)


def _certificates(folder: Path, spec: str) -> Path:
    """The folder, if its files can be used. Without a CA mydumper would trust any server."""
    there = [name for name in ("tls.crt", "tls.key") if (folder / name).exists()]
    lacking = "`ca.crt`, the CA of the database's certificate"
    if (folder / "ca.crt").exists():
        if len(there) != 1:
            return folder
        lacking = f"`tls.crt` and `tls.key` together, it has only `{there[0]}`"
    raise StepFailed(reasons.LOGIN_FAILED, f"the Secret of {spec}.tlsClientSecretName needs {lacking}")
