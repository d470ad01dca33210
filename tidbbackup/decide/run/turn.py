"""Whose turn it is, where the controller's flags bound how many Backups run at a time.

All who ask count the same way over the same cache, so no place is given away twice, and nothing has to be
remembered. Must not know how a run is begun.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from tidbbackup.decide.facts import Caps
from tidbbackup.decide.status import Cause
from tidbbackup.model import reasons
from tidbbackup.model.enumeration import some
from tidbbackup.model.resource.backup import Backup, Phase

_NAMED = 3
_NEVER = datetime.min.replace(tzinfo=UTC)


def have_their_turn(not_over: Iterable[Backup], caps: Caps, asking: str = "") -> list[Backup]:
    """Those of one namespace that run, and the oldest of the others that may run beside them.

    `asking`: the uid of one that could begin now, whatever its status tells yet. A server is a host and port,
    which mean the same within a namespace alone.
    """
    at_server: Counter[str] = Counter()
    found: list[Backup] = []
    claimants = (each for each in not_over if each.metadata.uid == asking or _claims(each))
    for backup in sorted(claimants, key=_order):
        server = server_of(backup)
        free = (not caps.per_namespace or len(found) < caps.per_namespace) and (
            not caps.per_server or at_server[server] < caps.per_server
        )
        if free or has_begun(backup):
            found.append(backup)
            at_server[server] += 1
    return found


def waits_for(backup: Backup, not_over: tuple[Backup, ...], caps: Caps) -> Cause | None:
    """Why `backup`, which could begin, may not yet; None if it may. A further attempt keeps its turn."""
    if not caps or has_begun(backup):
        return None
    uid = backup.metadata.uid
    first = have_their_turn(not_over, caps, asking=uid)
    if any(each.metadata.uid == uid for each in first):
        return None
    here = [each for each in first if server_of(each) == server_of(backup)]
    if caps.per_server and len(here) >= caps.per_server:
        first, flag = here, f"of {server_of(backup)} (--max-running-per-server={caps.per_server})"
    else:
        flag = f"of this namespace (--max-running-per-namespace={caps.per_namespace})"
    names = some([each.metadata.name for each in first], _NAMED)
    return Cause(reasons.WAITS_ITS_TURN, f"other Backups {flag} come first: {names}")


def has_begun(backup: Backup) -> bool:
    """Whether its status tells that a Job was created for it."""
    return backup.status.phase in (Phase.SCHEDULED, Phase.RUNNING)


def server_of(backup: Backup) -> str:
    """The database server that it reads from, as `host:port`."""
    return backup.spec.source.address if backup.spec.source else ""


def _claims(backup: Backup) -> bool:
    """Whether it runs, or could. One that was Invalid and waits its turn was corrected."""
    if backup.foreign:
        return False
    held = backup.status.condition(Phase.SCHEDULED)
    waits = held is not None and held.reason == reasons.WAITS_ITS_TURN
    could = backup.metadata.deletionTimestamp is None and (waits or backup.status.phase != Phase.INVALID)
    return could or has_begun(backup)


def _order(backup: Backup) -> tuple[bool, datetime, str]:
    meta = backup.metadata
    return not has_begun(backup), meta.creationTimestamp or _NEVER, meta.uid
