"""What the target has already: it is refused, or dropped if the user asks for it. It creates nothing."""

from __future__ import annotations

from tidbbackup.model import reasons
from tidbbackup.model.enumeration import some
from tidbbackup.worker.database.session import open_session
from tidbbackup.worker.definitions.text import quoted
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.load.catalogue import Content
from tidbbackup.worker.load.target import UTC, Target, drop
from tidbbackup.worker.load.thing import Thing

_NAMED = 5


def refuse_databases(target: Target, suffix: str, there: list[str]) -> None:
    """Refuse the databases that are there although a restore with a suffix creates its own.

    Raises:
        StepFailed: TargetNotEmpty, with their names.
    """
    if there:
        raise StepFailed(
            reasons.TARGET_NOT_EMPTY,
            f"{target.login.where} has database {some([quoted(name) for name in there])} already, "
            f"and a restore with databaseSuffix {suffix!r} creates its own: if one that was "
            "killed has left it, drop it; else write another suffix",
        )


def make_room(target: Target, content: Content, there: list[Thing], *, overwrite: bool) -> None:
    """See that nothing of the archive is there, or drop it.

    Raises:
        StepFailed: TargetNotEmpty, before anything is written.
    """
    coming = {target.key(thing) for thing in content.things()}
    clashing = [thing for thing in there if target.key(thing) in coming]
    if not clashing:
        return
    names = some([thing.sql for thing in clashing])
    where = target.login.where
    if not overwrite:
        raise StepFailed(
            reasons.TARGET_NOT_EMPTY,
            f"{where} has {names} already; restore into another server, drop them, leave them out "
            "with a filter, or let them be dropped with overwrite: Tables",
        )
    if system := [thing.sql for thing in clashing if thing.database in target.system]:
        raise StepFailed(
            reasons.TARGET_NOT_EMPTY,
            f"{', '.join(system[:_NAMED])} belong to {where} itself and are never overwritten: leave "
            "them out with a filter",
        )
    with open_session(target.login) as session:
        session.query(target.settings(utf8=True, zone=UTC, strict=True))
        drop(session, clashing)
