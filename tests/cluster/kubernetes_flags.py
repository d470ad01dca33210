"""The configuration of the test cluster's servers: flags and files as text. Pure; starts nothing."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.cluster.certificates import Certificates

# What the API server is called from inside the cluster, see `apiserver_flags`.
SERVICE_ADDRESS = "10.96.0.1"
HOSTS = ("127.0.0.1", "localhost", SERVICE_ADDRESS, "kubernetes.default.svc")

OUR_API_GROUP = "pingcap.com"


@frozen
class Tokens:
    """One bearer token for each user the cluster starts with; all of them may do everything."""

    admin: str
    controller_manager: str
    scheduler: str

    def file(self) -> str:
        """The API server's token file: token, user, uid, groups."""
        # Different users, so that the audit log tells the controllers' writes from a test's.
        users = {
            "admin": self.admin,
            "system:kube-controller-manager": self.controller_manager,
            "system:kube-scheduler": self.scheduler,
        }
        return "".join(f'{token},{user},{user},"system:masters"\n' for user, token in users.items())


def etcd_flags(data: Path, client_url: str, peer_url: str) -> list[str]:
    """etcd with one member; nothing is synced to disk, the data dies with the run anyway."""
    return [
        f"--data-dir={data}",
        f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver_flags(
    folder: Path, port: int, etcd_url: str, certificates: Certificates, extra: Sequence[str]
) -> list[str]:
    """The API server: RBAC, an audit log, every default admission plugin. `extra` comes last and wins."""
    return [
        f"--etcd-servers={etcd_url}",
        # One by one, hundreds of Jobs take minutes on a busy machine: longer than a request may take.
        "--delete-collection-workers=8",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        # Loopback is no legal endpoint of the Service `kubernetes`, so nobody may write one.
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.96.0.0/16",
        f"--tls-cert-file={certificates.certificate}",
        f"--tls-private-key-file={certificates.key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={certificates.token_key}",
        f"--service-account-key-file={certificates.token_key}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
        f"--audit-policy-file={folder / 'audit-policy.json'}",
        f"--audit-log-path={folder / 'audit.log'}",
        "--profiling=false",
        *extra,
    ]


def audit_policy() -> str:
    """Who did what, for every request; the bodies too for our own API group."""
    rules: list[dict[str, Any]] = [
        {"level": "Request", "resources": [{"group": OUR_API_GROUP}]},
        {"level": "Metadata"},
    ]
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": rules,
    }
    return json.dumps(policy)


def controller_manager_flags(kubeconfig: Path, certificates: Certificates) -> list[str]:
    """The controller manager with all its controllers and no throttle towards the API server."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--root-ca-file={certificates.ca}",
        f"--service-account-private-key-file={certificates.token_key}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
        "--profiling=false",
    ]


def scheduler_flags(configuration: Path) -> list[str]:
    """The scheduler, all else being in its configuration file."""
    return [
        f"--config={configuration}",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
        # It can miss what a pod waits for, and then looks again after this: five minutes by default.
        "--pod-max-in-unschedulable-pods-duration=10s",
    ]


def scheduler_configuration(kubeconfig: Path) -> str:
    """A pod that did not fit is looked at again after 1 to 2 seconds, where 10 is the default."""
    return json.dumps(
        {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": {"kubeconfig": str(kubeconfig), "qps": 1000, "burst": 2000},
            "leaderElection": {"leaderElect": False},
            "enableProfiling": False,
            "podInitialBackoffSeconds": 1,
            "podMaxBackoffSeconds": 2,
        }
    )


def kubeconfig(url: str, ca: Path, user: str, token: str) -> str:
    """A kubeconfig with one context, as JSON, which is YAML."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": str(ca)}}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            "current-context": "test",
        },
        indent=2,
    )
