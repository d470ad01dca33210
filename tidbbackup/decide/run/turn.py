"""Whose turn it is, where the controller's flags bound how many Backups run at a time.

All who ask count the same way over the same cache, so no place is given away twice, and nothing has to be
remembered. Must not know how a run is begun.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from tidbbackup.decide.facts import Caps
from tidbbackup.decide.status import Cause
from tidbbackup.model import reasons
from tidbbackup.model.resource.backup import Backup, Phase

_NEVER = datetime.min.replace(tzinfo=UTC)


def have_their_turn(unfinished: Iterable[Backup], caps: Caps) -> list[Backup]:
    """Those of one namespace that run, and the oldest of the others that may run beside them.

    A server is a host and port, which mean the same within a namespace alone.
    """
    at_server: Counter[str] = Counter()
    found: list[Backup] = []
    for backup in sorted(_claimants(unfinished), key=_order):
        server = server_of(backup)
        free = (not caps.per_namespace or len(found) < caps.per_namespace) and (
            not caps.per_server or at_server[server] < caps.per_server
        )
        if free or has_begun(backup):
            found.append(backup)
            at_server[server] += 1
    return found


def waits_for(backup: Backup, unfinished: tuple[Backup, ...], caps: Caps) -> Cause | None:
    """Why `backup` may not begin yet; None if it may."""
    first = have_their_turn(unfinished, caps) if caps else []
    if not caps or any(each.metadata.uid == backup.metadata.uid for each in first):
        return None
    here = [each for each in first if server_of(each) == server_of(backup)]
    if caps.per_server and len(here) >= caps.per_server:
        first, flag = here, f"of {server_of(backup)} (--max-running-per-server={caps.per_server})"
    else:
        flag = f"of this namespace (--max-running-per-namespace={caps.per_namespace})"
    names = ", ".join(each.metadata.name for each in first[:3])
    more = f" and {len(first) - 3} more" if len(first) > 3 else ""
    return Cause(reasons.WAITS_ITS_TURN, f"other Backups {flag} come first: {names}{more}")


def has_begun(backup: Backup) -> bool:
    """Whether its status tells that a Job was created for it."""
    return backup.status.phase in (Phase.SCHEDULED, Phase.RUNNING)


def server_of(backup: Backup) -> str:
    """The database server that it reads from, as `host:port`."""
    source = backup.spec.source
    return f"{source.host}:{source.port}" if source else ""


def _claimants(unfinished: Iterable[Backup]) -> Iterator[Backup]:
    for backup in unfinished:
        waits = backup.status.phase != Phase.INVALID and backup.metadata.deletionTimestamp is None
        if not backup.foreign and (waits or has_begun(backup)):
            yield backup


def _order(backup: Backup) -> tuple[bool, datetime, str]:
    meta = backup.metadata
    return not has_begun(backup), meta.creationTimestamp or _NEVER, meta.uid
