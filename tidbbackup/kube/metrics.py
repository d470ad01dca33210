"""What kube/ wants counted, as small protocols; who counts is handed in.

Must not know Prometheus nor our metrics' names.
"""

from __future__ import annotations

from typing import Protocol


class ClientMetrics(Protocol):
    """Counts requests to the API server."""

    def request(self, code: str, method: str) -> None:
        """One answer: the HTTP status, or `<error>` where there was none."""


class QueueMetrics(Protocol):
    """Counts what goes through one work queue; times are seconds."""

    def added(self) -> None:
        """A key was added."""

    def waited(self, seconds: float) -> None:
        """A key was taken this long after it was due."""

    def worked(self, seconds: float) -> None:
        """A key was done this long after it was taken."""

    def retried(self) -> None:
        """A key was put off after a failure."""


class RunnerMetrics(Protocol):
    """Counts reconciles of one controller."""

    def reconciled(self, result: str, seconds: float) -> None:
        """One ended as `success`, `requeue_after` or `error`."""


class ReflectorMetrics(Protocol):
    """Counts what one reflector does."""

    def listed(self) -> None:
        """A whole list was taken over."""

    def watched(self) -> None:
        """A watch was opened."""

    def restarted(self, reason: str) -> None:
        """A list or watch ended otherwise than it should; `reason` is one of a few words."""


class Unmeasured:
    """Counts nothing: for commands that run once."""

    def request(self, code: str, method: str) -> None:
        """See ClientMetrics."""

    def added(self) -> None:
        """See QueueMetrics."""

    def waited(self, seconds: float) -> None:
        """See QueueMetrics."""

    def worked(self, seconds: float) -> None:
        """See QueueMetrics."""

    def retried(self) -> None:
        """See QueueMetrics."""

    def reconciled(self, result: str, seconds: float) -> None:
        """See RunnerMetrics."""

    def listed(self) -> None:
        """See ReflectorMetrics."""

    def watched(self) -> None:
        """See ReflectorMetrics."""

    def restarted(self, reason: str) -> None:
        """See ReflectorMetrics."""


UNMEASURED = Unmeasured()
