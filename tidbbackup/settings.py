"""The controller's settings, from flags and environment.

Must not know how they are used.
"""

from __future__ import annotations

import re

from attrs import frozen

from tidbbackup import __version__

DEFAULT_PORT = 8080

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@frozen
class Settings:
    """How one controller runs."""

    kubeconfig: str | None = None
    """Path of a kubeconfig; None: KUBECONFIG, then the pod's own service account, then ~/.kube/config."""
    context: str | None = None
    namespaces: tuple[str, ...] = ()
    """The namespaces to watch; empty: all of them."""
    worker_image: str = f"tidbbackup:{__version__}"
    worker_pull_policy: str = "IfNotPresent"
    metrics_host: str = "0.0.0.0"  # noqa: S104  Prometheus and the kubelet's probes come from outside the pod
    metrics_port: int = DEFAULT_PORT
    workers: int = 16
    """Reconciles at a time; at most a quarter of them in one namespace."""
    max_running_per_namespace: int = 0
    max_running_per_server: int = 0
    """How many Backups run at a time; 0: any number."""
    leader_elect: bool = True
    """Write only while this process holds the Lease; without it, this must be the only controller."""
    lease: tuple[str, str] = ("default", "tidbbackup-controller")
    """Namespace and name."""
    drain_seconds: float = 8.0
    """How long reconciles may go on after SIGTERM; the whole stop stays under 10 seconds."""


def read_lease(text: str) -> tuple[str, str]:
    """Namespace and name of a Lease from `namespace/name`. Raises ValueError."""
    namespace, _, name = text.partition("/")
    if not (_NAMESPACE.fullmatch(namespace) and _NAMESPACE.fullmatch(name)):
        raise ValueError(f"{text!r} is not NAMESPACE/NAME, two names as Kubernetes takes them")
    return namespace, name


def read_namespaces(text: str) -> tuple[str, ...]:
    """The namespaces of a list separated by commas, each once.

    Raises ValueError with the name that is not valid.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if not name:
            raise ValueError(f"{text!r} has an empty name; leave the flag out to watch every namespace")
        if not _NAMESPACE.fullmatch(name):
            raise ValueError(
                f"{name!r} is not a namespace's name: at most 63 of a-z, 0-9 and -, no - at either end"
            )
    return names
