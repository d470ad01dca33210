"""What the end of a dumper means: its exit code, and its first error message. Pure."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

from tidbbackup.model import reasons
from tidbbackup.worker.failure import StepFailed

Meanings = Sequence[tuple[str, str, str]]
"""Error messages of a dumper (a regular expression), reason and cure; the first row that matches wins."""


def judge(
    program: str, meanings: Meanings, code: int, first_error: str, worst: str = ""
) -> StepFailed | None:
    """Whether the program's end was a failure, and which.

    Args:
        program: its name.
        meanings: of its words.
        code: exit code, negative for a signal.
        first_error: text of the first fatal line, "" if there was none.
        worst: a line that explains more than the first (disk full, connection lost), "" if there was none.
    """
    if code == 0 and not first_error:
        return None
    text = worst or first_error
    for words, reason, cure in meanings:
        if re.search(words, text):
            return StepFailed(reason, f"{program}: {text}; {cure}")
    if code < 0:
        end = f"{program} was ended by {_signal(-code)}"
        return StepFailed(
            reasons.DUMP_FAILED, f"{end}: {text}" if text else f"{end} without an error message"
        )
    return StepFailed(
        reasons.DUMP_FAILED,
        f"{program}: {text}" if text else f"{program} ended with exit code {code} and no message",
    )


def explains_others(meanings: Meanings, text: str) -> bool:
    """Whether a line names the cause of which earlier errors may be consequences."""
    return any(
        reason in (reasons.STAGING_FULL, reasons.DATABASE_LOST) and re.search(words, text)
        for words, reason, _ in meanings
    )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
