"""The verbs of the command line that ask a cluster, with the rights of their user: `status` and `run-now`.

Must not decide anything: the controller does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TextIO, TypeVar

from attrs import frozen

from tidbbackup.kube.client import Client
from tidbbackup.kube.connection import load_connection
from tidbbackup.kube.decode import Malformed
from tidbbackup.kube.errors import ConfigError, KubeError, NotFound
from tidbbackup.kube.resources import Resource
from tidbbackup.kube.watch import Target, list_all
from tidbbackup.model.names import RUN_NOW
from tidbbackup.overview import Objects, overview
from tidbbackup.reconcile.kinds import BACKUPS, KINDS, RESTORES, SCHEDULES

OK, FAILED, USAGE = 0, 1, 2
_PAGE = 500
T = TypeVar("T")


@frozen
class Asked:
    """Which cluster, and where in it."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str = ""
    """Empty: all namespaces."""


def status(asked: Asked, out: TextIO, err: TextIO) -> int:
    """Print what runs, what failed last, and the copies of each schedule; the exit code."""

    async def read(client: Client) -> Objects:
        schedules, backups, restores = [
            await _all(client, each, asked.namespace, err) for each in (SCHEDULES, BACKUPS, RESTORES)
        ]
        return Objects(schedules, backups, restores)

    found, code = _answer("status", asked, read, err)
    if found is not None:
        out.write(overview(found, datetime.now(UTC)))
    return code


def run_now(asked: Asked, schedule: str, out: TextIO, err: TextIO) -> int:
    """Ask the controller for a Backup of the schedule at once; the exit code."""
    namespace = asked.namespace or "default"

    async def ask(client: Client) -> bool:
        value = datetime.now(UTC).isoformat()
        await client.patch(SCHEDULES, namespace, schedule, {"metadata": {"annotations": {RUN_NOW: value}}})
        return True

    done, code = _answer("run-now", asked, ask, err)
    if done:
        print(f"asked for a Backup of {namespace}/{schedule}; what became of it:", file=out)
        print(f"  kubectl -n {namespace} describe backupschedules.pingcap.com {schedule}", file=out)
    return code


def _answer(
    verb: str, asked: Asked, ask: Callable[[Client], Awaitable[T]], err: TextIO
) -> tuple[T | None, int]:
    """What the cluster answered, and the exit code."""

    async def connected() -> T:
        connection = await load_connection(asked.kubeconfig, asked.context)
        async with Client(connection) as client:
            return await ask(client)

    try:
        return asyncio.run(connected()), OK
    except ConfigError as error:
        print(f"tidbbackup {verb}: {error}", file=err)
        return None, USAGE
    except NotFound as error:
        hint = "" if asked.namespace else "; name the namespace with -n"
        print(f"tidbbackup {verb}: {error.message}{hint}", file=err)
    except KubeError as error:
        print(f"tidbbackup {verb}: {error}", file=err)
    return None, FAILED


async def _all(client: Client, resource: Resource, namespace: str, err: TextIO) -> list[Any]:
    target: Target[Any] = Target(resource, KINDS[resource.kind].decode, namespace)
    found = (await list_all(client, target, _PAGE)).objects
    for each in found:
        if isinstance(each, Malformed):
            name = f"{each.metadata.namespace}/{each.metadata.name}"
            print(f"{resource.kind} {name} cannot be read: {each.why}", file=err)
    return [each for each in found if not isinstance(each, Malformed)]
