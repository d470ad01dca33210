"""Before a Backup goes by its age or by a rule: is the cache right about it and what stays, and is the clock?

A clock that has jumped ahead makes everything old at once, so ours is compared with the API server's. Where
both have jumped alike, what is left is the floor of retention. Must not know why a Backup goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from tidbbackup.decide.facts import Facts
from tidbbackup.decide.plan import Announce, Look, Plan
from tidbbackup.model import reasons
from tidbbackup.model.meta import Meta
from tidbbackup.model.resource.backup import KIND, Backup
from tidbbackup.model.units import format_time

MOST = timedelta(minutes=5)
"""By which the two clocks may differ; a round, with the answer that is compared, takes a minute at most."""

# What the cache shows and the API server does not: it lags behind, and its next change wakes us sooner.
_CACHE_LAGS = timedelta(seconds=10)
_CLOCK_IS_SET = timedelta(minutes=10)


def doubt(facts: Facts, kind: str, about: Meta, sure_of: Sequence[Backup], now: datetime) -> Plan | None:
    """What to do instead; None: no doubt. An Event tells `about` what is wrong with the clocks.

    Raises Unknown where nobody has looked yet.
    """
    look = Look(KIND, about.namespace, names=tuple(each.metadata.name for each in sure_of))
    shown = {_in_short(each) for each in facts.look_up(look, Backup)}
    if any(_in_short(each) not in shown for each in sure_of):
        return Plan(wake_at=now + _CACHE_LAGS)
    wrong = _clock_fault(facts.server_time, now)
    if wrong:
        say = Announce(kind, about, "Warning", reasons.CLOCKS_DIFFER, f"no Backup is deleted: {wrong}")
        return Plan((say,), wake_at=now + _CLOCK_IS_SET)
    return None


def _in_short(backup: Backup) -> tuple[str, str, bool]:
    meta = backup.metadata
    return meta.uid, backup.status.phase, meta.deletionTimestamp is None


def _clock_fault(server: datetime | None, now: datetime) -> str:
    if server is None:
        return "the API server does not tell its time: let what stands in front of it pass on the header Date"
    if abs(now - server) <= MOST:
        return ""
    # Without seconds: the same Event is not said again at each look.
    ours, theirs = (format_time(each.replace(second=0, microsecond=0)) for each in (now, server))
    return (
        f"the clock of this controller says {ours}, that of the API server {theirs}: set the wrong one "
        "(is NTP on, on both nodes?)"
    )
