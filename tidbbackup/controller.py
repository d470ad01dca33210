"""The controller process: reflectors fill the caches, changes become keys in one queue, reconcilers work.

Puts the parts together, starts and stops them. Must not decide anything about a Backup.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any

from attrs import frozen
from prometheus_client.metrics_core import Metric

from tidbbackup.backup_metrics import (
    BackupCounters,
    backup_gauges,
    restore_gauges,
    schedule_gauges,
    schedules_gone,
)
from tidbbackup.decide.facts import Caps
from tidbbackup.decide.pod import WorkerImage
from tidbbackup.kube.client import Client
from tidbbackup.kube.connection import load_connection
from tidbbackup.kube.decode import NESTING, read_meta
from tidbbackup.kube.errors import Forbidden, NotFound
from tidbbackup.kube.fence import Fence
from tidbbackup.kube.lease import DEADLINES, Election
from tidbbackup.kube.queue import WorkQueue
from tidbbackup.kube.reflector import Feed, Reflector
from tidbbackup.kube.resources import CRDS, JOBS, PODS
from tidbbackup.kube.runner import Runner, utc_now
from tidbbackup.kube.store import Cache, Store
from tidbbackup.kube.tasks import supervise
from tidbbackup.kube.transport import Retries
from tidbbackup.kube.writes import WriteGate
from tidbbackup.model.meta import ObjectKey
from tidbbackup.model.names import APP_NAME, MANAGED_BY, OURS
from tidbbackup.observability import Metrics, not_ready, serve
from tidbbackup.progress import ProgressTask, has_stale_progress
from tidbbackup.reconcile.kinds import BACKUPS, BY_SHORT_NAME, KINDS, RESTORES, SCHEDULES, Caches
from tidbbackup.reconcile.observe import wakes_backup, wakes_next, wakes_owner, wakes_restore
from tidbbackup.reconcile.reconcilers import Reconcilers
from tidbbackup.settings import Settings

log = logging.getLogger(__name__)


SHARES = 4
"""A namespace has at most this part of the workers: if its webhook is slow, the others have the rest."""


GARBAGE_AFTER = 60.0
"""Seconds after which garbage is looked for although the caches are not filled: no API server answers."""


class CannotStart(Exception):
    """The cluster is not ready for this controller; the message has the cure."""


@frozen
class Parts:
    """Everything that runs, wired together but not yet started."""

    queue: WorkQueue[ObjectKey]
    reflectors: tuple[Reflector[Any], ...]
    runner: Runner[ObjectKey]
    progress: ProgressTask
    fence: Fence
    election: Election | None
    """None: this process leads always."""

    def not_ready(self) -> tuple[str, ...]:
        """A line for each thing that keeps this process from being ready. One that stands by is ready."""
        refused = self.election.refused if self.election else ""
        return *not_ready(each.health() for each in self.reflectors), *filter(None, [refused])


def line(key: ObjectKey) -> tuple[str, str]:
    """The line of a key in the queue: each kind of a namespace has its own."""
    return key.namespace, key.kind


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then finish the reconciles that run, and return.

    Raises:
        CannotStart, kube.errors.KubeError, observability.CannotListen: with the cure in the message.
    """
    # Else one object with a deeply nested affinity makes every list of its kind unreadable.
    sys.setrecursionlimit(NESTING)
    connection = await load_connection(settings.kubeconfig, settings.context)
    metrics, fence = Metrics(), Fence()
    async with (
        Client(connection, metrics.request, may_write=fence.check) as client,
        Client(connection, metrics.request, DEADLINES, Retries(limit=0)) as for_lease,
    ):
        await check_crds(client)
        election = Election(for_lease, settings.lease, fence) if settings.leader_elect else None
        parts = assemble(client, settings, metrics, fence, election)
        host, wanted = settings.metrics_host, settings.metrics_port
        async with serve(metrics, parts.not_ready, host=host, port=wanted) as port:
            log.info("metrics and health on %s:%d", settings.metrics_host, port)
            # From here on only: until something is at work, the process may end at once.
            with stop_signals() as stop:
                await _run_parts(parts, settings, stop)
    log.info("stopped")


async def check_crds(client: Client) -> None:
    """Make sure that our CRDs exist and are ours: TiDB Operator's have the same names.

    Raises:
        CannotStart: they are missing, or belong to TiDB Operator.
    """
    for resource in (BACKUPS, SCHEDULES, RESTORES):
        try:
            meta = read_meta(await client.get(CRDS, "", str(resource)))
        except NotFound:
            raise CannotStart(
                f"CustomResourceDefinition {resource} is missing: kubectl apply -f manifests/crds.yaml"
            ) from None
        except Forbidden as error:
            raise CannotStart(
                f"may not read CustomResourceDefinition {resource}, to see whether it is ours: bind the "
                f"ClusterRole tidbbackup-crd-reader of manifests/rbac/account ({error.message})"
            ) from None
        # Helm puts itself into managed-by of what it installs.
        if OURS not in (meta.labels.get(APP_NAME), meta.labels.get(MANAGED_BY)):
            raise CannotStart(
                f"CustomResourceDefinition {resource} is not ours (no label {APP_NAME}={OURS}): TiDB "
                "Operator v1 uses the same names, and the two cannot share a cluster; uninstall it, then "
                "apply manifests/crds.yaml"
            )


def assemble(
    client: Client,
    settings: Settings,
    metrics: Metrics,
    fence: Fence,
    election: Election | None,
    now: Callable[[], datetime] = utc_now,
) -> Parts:
    """Wire stores, reflectors, queue and reconcilers together. `now` is the wall clock."""
    if election is None:
        fence.extend()
    metrics.watch_leader(settings.lease[1], lambda: fence.left > 0)
    share = max(1, settings.workers // SHARES)
    queue: WorkQueue[ObjectKey] = WorkQueue("keys", line=line, share=share, metrics=metrics.queue("keys"))
    gate = WriteGate()
    followed = (BACKUPS.kind, JOBS.kind, PODS.kind, SCHEDULES.kind, RESTORES.kind)
    stores: dict[str, dict[str, Store[Any]]] = {
        kind: {
            each: Store(KINDS[kind].resource, KINDS[kind].indexes) for each in settings.namespaces or ("",)
        }
        for kind in followed
    }
    caches = Caches(*(Cache(*stores[kind].values()) for kind in followed))
    progress = ProgressTask(client, caches)
    counters = BackupCounters(
        metrics.registry, lambda group: bool(caches.schedules.by(BY_SHORT_NAME, "/".join(group)))
    )
    add, take_away = _once_open(fence, queue.add), _once_open(fence, progress.take_away)
    feeds: dict[str, list[Feed[Any]]] = {
        BACKUPS.kind: [Feed(partial(wakes_backup, caches), add), Feed(has_stale_progress, take_away)],
        JOBS.kind: [Feed(partial(wakes_owner, caches), add)],
        PODS.kind: [Feed(partial(wakes_owner, caches), add)],
        RESTORES.kind: [Feed(partial(wakes_restore, caches), add), Feed(has_stale_progress, take_away)],
        SCHEDULES.kind: [Feed(lambda change: [change.key], add), Feed(schedules_gone, counters.forget)],
    }
    caps = Caps(settings.max_running_per_namespace, settings.max_running_per_server)
    if caps:
        feeds[BACKUPS.kind].append(Feed(partial(wakes_next, caches, caps), add))
    reflectors = tuple(_followers(client, stores, feeds, gate, metrics))
    metrics.watch_queue(queue)
    metrics.gauges(partial(_of_objects, fence, caches, now))
    image = WorkerImage(settings.worker_image, settings.worker_pull_policy)
    reconcilers = Reconcilers(
        *(client, gate, caches, image, now, metrics.reconciled, counters.count, fence.clock), caps=caps
    )
    runner = Runner("keys", queue, reconcilers.reconcile, gate=gate, workers=settings.workers, now=now)
    return Parts(queue, reflectors, runner, progress, fence, election)


def _followers(
    client: Client,
    stores: dict[str, dict[str, Store[Any]]],
    feeds: dict[str, list[Feed[Any]]],
    gate: WriteGate,
    metrics: Metrics,
) -> Iterator[Reflector[Any]]:
    """A reflector for each store, known to the gate and shown in the metrics."""
    for kind, of_kind in stores.items():
        measured = metrics.reflector(KINDS[kind].resource)
        for namespace, store in of_kind.items():
            reflector = Reflector(
                *(client, store, KINDS[kind].decode, feeds[kind]),
                gate=gate,
                namespace=namespace,
                selector=KINDS[kind].selector,
                metrics=measured,
            )
            gate.follow(KINDS[kind].resource, store.cache, reflector.relist, namespace)
            metrics.watch_reflector(reflector.health)
            yield reflector


def _once_open(fence: Fence, add: Callable[[ObjectKey], object]) -> Callable[[ObjectKey], object]:
    # Who stands by keeps no keys: they would pile up. `_lead` adds them all.
    return lambda key: add(key) if fence.opened.is_set() else None


def _of_objects(fence: Fence, caches: Caches, now: Callable[[], datetime]) -> Iterable[Metric]:
    # All replicas see the same objects; the leader alone shows them, so that sums over replicas are right.
    if fence.left <= 0:
        return ()
    schedules = schedule_gauges(caches.schedules, now)
    return chain(backup_gauges(caches.backups), restore_gauges(caches.restores), schedules)


async def _lead(parts: Parts) -> None:
    await parts.fence.opened.wait()
    for reflector in parts.reflectors:
        await reflector.resend()


async def _run_parts(parts: Parts, settings: Settings, stop: asyncio.Event) -> None:
    # No reconcile before all caches are filled: an object that is not listed yet would seem absent.
    filled = asyncio.gather(*(reflector.wait_synced() for reflector in parts.reflectors))
    synced = asyncio.gather(_lead(parts), filled)
    # One that stands by is filled too, and may stand by for weeks.
    filled.add_done_callback(_look_for_garbage)
    asyncio.get_running_loop().call_later(GARBAGE_AFTER, gc.enable)

    async def wind_up() -> None:
        await stop.wait()
        log.info("stopping: finishing the reconciles that run")
        synced.cancel()
        # A reconcile that is cancelled here is repeated by the next controller: every step can be repeated.
        await parts.runner.stop(settings.drain_seconds)
        # The lease's task releases the Lease: after the last reconcile.
        for task in following:
            task.cancel()

    following = [
        *(asyncio.create_task(each.run(), name=f"reflector of {each.health()}") for each in parts.reflectors),
        asyncio.create_task(parts.progress.run(asyncio.shield(synced)), name="progress"),
    ]
    if parts.election:
        following.append(asyncio.create_task(parts.election.run(), name="lease"))
    working = asyncio.create_task(parts.runner.run(asyncio.shield(synced)), name="reconcilers")
    try:
        await supervise([*following, working, asyncio.create_task(wind_up(), name="stop")], stop.is_set)
    finally:
        synced.cancel()


def _look_for_garbage(_: object) -> None:
    # What the caches hold now is not searched any more: with 20,000 objects a search takes 0.1 s.
    gc.freeze()
    gc.enable()


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGTERM or SIGINT sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
