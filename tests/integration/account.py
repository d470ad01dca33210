"""The controller's service account as shipped: its rights, a kubeconfig of its own, what it was seen to do.

Knows the manifests and the API server's audit log; knows nothing of the product's inside.
"""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml
from attrs import frozen

from tests.cluster.control_plane import ControlPlane
from tests.cluster.kubernetes_flags import kubeconfig
from tests.manifests.shipped import JSON, documents

NAMESPACE, ACCOUNT = "tidbbackup-system", "tidbbackup-controller"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
AGENT = "tidbbackup"
LEASE = (f"--lease={NAMESPACE}/{ACCOUNT}",)
"""The flag of the shipped Deployment: the account has rights on this Lease alone."""
RIGHTS = ("Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


@frozen(order=True)
class Right:
    """One verb on one resource; `group` is "" for the core, subresources are `backups/status`."""

    group: str
    resource: str
    verb: str


@frozen
class Deed:
    """A request that the API server has answered."""

    right: Right
    namespace: str
    name: str
    code: int


async def apply_rights(plane: ControlPlane, manifests: Collection[JSON] = ()) -> None:
    """Apply what of install.yaml (or of other manifests) gives rights, and not the controller itself."""
    kept = [found for found in manifests or documents("install.yaml") if found["kind"] in RIGHTS]
    text = yaml.safe_dump_all(kept)
    await plane.kubectl_run("apply", "--server-side", "--force-conflicts", "-f", "-", input=text)


async def token(plane: ControlPlane, *flags: str) -> str:
    """A token of the account, made by the API server (TokenRequest)."""
    return (await plane.kubectl_run("-n", NAMESPACE, "create", "token", ACCOUNT, *flags)).strip()


async def account_kubeconfig(plane: ControlPlane) -> Path:
    """A kubeconfig with such a token."""
    path = plane.folder / "controller-account.kubeconfig"
    path.touch(0o600)
    path.write_text(kubeconfig(plane.url, plane.ca, ACCOUNT, await token(plane)))
    return path


def granted(roles: Collection[JSON]) -> set[Right]:
    """Every right in these roles."""
    return {
        Right(group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def deeds(plane: ControlPlane, user: str = USER) -> Iterator[Deed]:
    """What a user did so far, from the audit log."""
    with plane.audit_log.open() as lines:
        for line in lines:
            entry = audited(line)
            # A refused token tells no name; our own client then does.
            ours = entry.get("userAgent") == AGENT and entry["responseStatus"]["code"] == 401
            if "objectRef" in entry and (ours or entry["user"].get("username") == user):
                yield _deed(entry)


def audited(line: str) -> dict[str, Any]:
    """One line of the audit log; empty for a request whose body is nested deeper than json reads."""
    try:
        entry: dict[str, Any] = json.loads(line)
    except RecursionError:
        return {}
    return entry


def _deed(entry: dict[str, Any]) -> Deed:
    thing = entry["objectRef"]
    resource = "/".join(filter(None, (thing["resource"], thing.get("subresource"))))
    return Deed(
        Right(thing.get("apiGroup", ""), resource, entry["verb"]),
        thing.get("namespace", ""),
        thing.get("name", ""),
        entry["responseStatus"]["code"],
    )
