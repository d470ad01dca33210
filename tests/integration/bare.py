"""What a user does on a control plane without a node: Backups are taken and begun there, never run.

Knows kubectl and the words of the product's API.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import yaml

from tests.cluster.api import JSON
from tests.cluster.control_plane import ControlPlane

API = "/apis/pingcap.com/v1alpha1/namespaces"


async def eventually(what: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Look again and again until it is so; TimeoutError where it never is."""
    async with asyncio.timeout(seconds):
        while not await what():  # noqa: ASYNC110  there is nobody to tell
            await asyncio.sleep(0.05)


def a_backup(name: str, namespace: str, **spec: Any) -> JSON:
    """A Backup that is valid, with more in its spec."""
    whole = {
        "from": {"host": "tidb", "secretName": "db"},
        "s3": {"provider": "aws", "region": "us-east-1", "bucket": "backups", "secretName": "s3"},
        **spec,
    }
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "pingcap.com/v1alpha1", "kind": "Backup", "metadata": meta, "spec": whole}


async def apply(plane: ControlPlane, *manifests: JSON) -> str:
    """`kubectl apply`, with strict validation. Raises KubectlFailed."""
    return await plane.kubectl_run("apply", "-f", "-", input=yaml.safe_dump_all(manifests))


async def would_take(plane: ControlPlane, manifest: JSON) -> None:
    """Ask the API server whether it would create that. It judges as for kubectl, and keeps nothing.

    Where many are tried this is much quicker than kubectl, which is a process each. Raises ApiRefused.
    """
    path = f"{API}/{manifest['metadata']['namespace']}/{manifest['kind'].lower()}s"
    await plane.api.create(f"{path}?dryRun=All&fieldValidation=Strict", manifest)


async def phase_of(plane: ControlPlane, namespace: str, name: str) -> str:
    """The Backup's phase, "" if it has none yet."""
    found = await plane.api.get(f"{API}/{namespace}/backups/{name}")
    phase: str = found.get("status", {}).get("phase", "")
    return phase
