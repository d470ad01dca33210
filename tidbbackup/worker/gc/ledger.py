"""Who holds TiDB's GC life time up, and what it was before: a ledger in the comment of the row itself. Pure.

The row of `tikv_gc_life_time` in mysql.tidb is the only thing that outlives every worker, controller and
cluster of ours, so the ledger is there. What always holds (tests/worker/gc/test_ledger.py):
- Once no holder is left or alive, the next event puts value and comment back to the letter.
- While there are holders the value is the longest of what was there before and what they ask for.
- If value or comment are not as we left them, somebody else has set them: they stay, and the holders have
  lost their hold.

Must not know SQL or whose clock it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from attrs import field, frozen

from tidbbackup.model.contract.task import LONGEST_GC_LIFE_TIME
from tidbbackup.model.units import format_duration, parse_duration

MARK = "tidbbackup has raised this value: "
"""What a comment of ours begins with; JSON follows."""
COMMENT_LIMIT = 1024
"""Characters that TiDB's column takes."""

_HOLDER_LENGTH = 13


class CannotHold(Exception):
    """The row as it is leaves no way to hold the life time; the message says why."""


@frozen
class Row:
    """The row of `tikv_gc_life_time`: VARIABLE_VALUE and COMMENT."""

    value: str
    comment: str | None


@frozen
class Acquire:
    """A run begins, or makes sure: it wants at least `wish`, until `expires` unless it says so again."""

    holder: str
    wish: timedelta
    expires: datetime


@frozen
class Renew:
    """A run is still alive. One that has lost its hold does not get it back by this."""

    holder: str
    expires: datetime


@frozen
class Release:
    """A run is over."""

    holder: str


Event = Acquire | Renew | Release
"""Each also forgets the holders whose time is over."""


@frozen
class _Holder:
    wish: str
    until: datetime


@frozen
class _Book:
    """What a comment of ours holds."""

    was: str
    """The value before the first of the holders."""
    now: str
    """The value as we have set it: another value was set by somebody else."""
    comment: str | None
    """The comment before."""
    holders: dict[str, _Holder] = field(factory=dict)


def holder_name(uid: str) -> str:
    """How a run is called in the ledger: by the beginning of its Backup's uid, of which one run lives."""
    return uid[:_HOLDER_LENGTH]


def is_held(row: Row, holder: str) -> bool:
    """Whether this run's wish counts in the row as it is."""
    book = _read(row)
    return book is not None and holder in book.holders


def suffices(row: Row, wish: timedelta) -> bool:
    """Whether the value is as long as wished without us, and so nothing has to be held."""
    try:
        return parse_duration(row.value) >= wish
    except ValueError:
        return False


def ledger(row: Row, now: datetime, event: Event) -> Row:
    """The row after an event; the same row where nothing changes.

    Args:
        row: as it is.
        now: by the clock of the database, the only one that all holders share.
        event: what happens.

    Raises:
        CannotHold: an Acquire for which there is no way.
    """
    book = _read(row) or _Book(row.value, row.value, row.comment)
    holders = {name: holder for name, holder in book.holders.items() if holder.until > now}
    match event:
        case Acquire():
            if not holders and suffices(Row(book.was, None), event.wish):
                return Row(book.was, book.comment)
            holders[event.holder] = _Holder(_written(event.wish), event.expires.replace(microsecond=0))
        case Renew() if event.holder in holders:
            wish = holders[event.holder].wish
            holders[event.holder] = _Holder(wish, event.expires.replace(microsecond=0))
        case Release():
            holders.pop(event.holder, None)
    return _write(book, holders)


def _write(book: _Book, holders: dict[str, _Holder]) -> Row:
    if not holders:
        return Row(book.was, book.comment)
    try:
        # In doubt the first of equals: a value that is long enough stays as it was written.
        value = max((book.was, *(holder.wish for holder in holders.values())), key=parse_duration)
    except ValueError as error:
        raise CannotHold(f"its present value {error}") from error
    new = _Book(book.was, value, book.comment, holders)
    comment = MARK + msgspec.json.encode(new, order="sorted").decode()
    if len(comment) > COMMENT_LIMIT:
        raise CannotHold(f"its comment has no room for one more beside {len(holders) - 1} running backups")
    return Row(value, comment)


def _read(row: Row) -> _Book | None:
    """The ledger, without holders if somebody else has set the value; None if the comment is not ours."""
    if row.comment is None or not row.comment.startswith(MARK):
        return None
    try:
        book = msgspec.json.decode(row.comment.removeprefix(MARK), type=_Book)
    except msgspec.MsgspecError:
        return None
    return book if book.now == row.value else _Book(row.value, row.value, book.comment)


def _written(wish: timedelta) -> str:
    """As TiDB reads it: Go knows neither days nor weeks."""
    return format_duration(min(wish, LONGEST_GC_LIFE_TIME))
