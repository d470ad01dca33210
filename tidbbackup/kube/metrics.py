"""Counts what kube/ does, under the names that client-go and controller-runtime gave these metrics.

Must not know how the counts are served.
"""

from __future__ import annotations

from attrs import frozen
from prometheus_client import CollectorRegistry, Counter, Histogram

WAIT_BUCKETS = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
"""Seconds; a wide range, from a read of the cache to an outage."""


@frozen
class QueueMetrics:
    """The counters of one work queue; times are seconds."""

    adds: Counter
    queue_seconds: Histogram
    work_seconds: Histogram
    retries: Counter

    def added(self) -> None:
        """A key was added."""
        self.adds.inc()

    def waited(self, seconds: float) -> None:
        """A key was taken this long after it was due."""
        self.queue_seconds.observe(seconds)

    def worked(self, seconds: float) -> None:
        """A key was done this long after it was taken."""
        self.work_seconds.observe(seconds)

    def retried(self) -> None:
        """A key was delayed after a failure."""
        self.retries.inc()


@frozen
class ReflectorMetrics:
    """The counters of one reflector."""

    resource: str
    lists: Counter
    watches: Counter
    restarts: Counter

    def listed(self) -> None:
        """A whole list was received."""
        self.lists.labels(resource=self.resource).inc()

    def watched(self) -> None:
        """A watch was opened."""
        self.watches.labels(resource=self.resource).inc()

    def restarted(self, reason: str) -> None:
        """A list or watch failed; `reason` is one of a few words."""
        self.restarts.labels(resource=self.resource, reason=reason).inc()


class KubeMetrics:
    """All counters of kube/, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def histogram(name: str, text: str, label: str) -> Histogram:
            return Histogram(name, text, [label], registry=registry, buckets=WAIT_BUCKETS)

        self._requests = counter(
            "rest_client_requests_total", "Requests to the API server.", "code", "method"
        )
        self._adds = counter("workqueue_adds_total", "Keys added.", "name")
        self._retries = counter("workqueue_retries_total", "Keys put off.", "name")
        self._waits = histogram("workqueue_queue_duration_seconds", "Wait of a due key.", "name")
        self._works = histogram("workqueue_work_duration_seconds", "Work on a key.", "name")
        self._reconciles = counter(
            "controller_runtime_reconcile_total", "Reconciles.", "controller", "result"
        )
        self._reconcile_seconds = histogram(
            "controller_runtime_reconcile_time_seconds", "Length of a reconcile.", "controller"
        )
        self._lists = counter("reflector_lists_total", "Whole lists taken.", "resource")
        self._watches = counter("reflector_watches_total", "Watches opened.", "resource")
        self._restarts = counter(
            "reflector_restarts_total", "Lists and watches that failed.", "resource", "reason"
        )

    def request(self, code: str, method: str) -> None:
        """One answer of the API server: the HTTP status, or `<error>` where there was none."""
        self._requests.labels(code=code, method=method).inc()

    def reconciled(self, controller: str, result: str, seconds: float) -> None:
        """One reconcile ended as `success`, `requeue_after` or `error`."""
        self._reconciles.labels(controller=controller, result=result).inc()
        self._reconcile_seconds.labels(controller=controller).observe(seconds)

    def queue(self, name: str) -> QueueMetrics:
        """For WorkQueue(metrics=...)."""
        timed = self._waits.labels(name=name), self._works.labels(name=name)
        return QueueMetrics(self._adds.labels(name=name), *timed, self._retries.labels(name=name))

    def reflector(self, resource: object) -> ReflectorMetrics:
        """For Reflector(metrics=...)."""
        return ReflectorMetrics(str(resource), self._lists, self._watches, self._restarts)


UNREAD = KubeMetrics(CollectorRegistry())
"""For callers without metrics: these counts are never read."""
