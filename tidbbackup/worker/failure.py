"""The worker's one kind of failure, and where in a run it stands.

Must not know how failures are found or reported.
"""

from __future__ import annotations

from attrs import define, field

from tidbbackup.model.result import Notice
from tidbbackup.worker.counters import Counters


class StepFailed(Exception):
    """A step ended for a reason the user can read: a constant of model.reasons and what cures it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class UsageError(Exception):
    """The environment is not what a Job of ours gives: exit code 2."""


@define
class Journal:
    """Where a run stands, so that whatever ends it can be reported with its step."""

    step: str = "preflight"
    notices: list[Notice] = field(factory=list)
    upload_left_open: bool = False
    counters: Counters = field(factory=Counters)

    def notice(self, reason: str, message: str) -> None:
        """Something the user should know although the run goes on."""
        self.notices.append(Notice(reason, message))
