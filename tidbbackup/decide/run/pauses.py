"""How long a Job of ours that came to nothing is left alone before it is made anew. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

_FIRST = timedelta(seconds=10)
_LONGEST = timedelta(minutes=10)


def again_at(trying_since: datetime, failed_at: datetime) -> datetime:
    """When to try again: as long again as it has been tried already, so each pause doubles the last, without
    any count; 10 seconds at the least and 10 minutes at the most."""
    return failed_at + min(max(failed_at - trying_since, _FIRST), _LONGEST)
