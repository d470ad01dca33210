"""What a scenario may do and see, wherever it runs: a namespace with one Backup, its Jobs and their pods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from tests.decide.world import View
from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.plan import Action
from tidbbackup.model.resource.backup import Backup
from tidbbackup.model.resource.kubernetes import Job, Pod

DONE = "done"
CONFLICT = "conflict"
TAKEN = "name taken"
TERMINATING = "namespace terminating"
REJECTED = "rejected"

Holds = Callable[[View], bool]


class Server(Protocol):
    """An API server with the controllers of Kubernetes: the one in memory, or a real one."""

    async def create(self, *finalizers: str, **spec: Any) -> Backup:
        """The Backup, just created; `spec` is laid over a valid one."""
        ...

    async def view(self) -> View:
        """All there is."""
        ...

    async def apply(self, action: Action) -> str:
        """Carry an action out; how it was answered: one of the words above."""
        ...

    async def until(self, holds: Holds) -> View:
        """Let the controllers of Kubernetes work until that holds; fails where it never does."""
        ...

    async def at_rest(self) -> View:
        """What there is when they had their time."""
        ...

    async def delete_backup(self, *, foreground: bool = False) -> None:
        """kubectl delete backup, in the background or with --cascade=foreground."""
        ...

    async def edit(self, **spec: Any) -> str:
        """kubectl edit backup; how it was answered."""
        ...

    async def delete_namespace(self) -> None:
        """kubectl delete namespace."""
        ...

    async def make_job(self, name: str) -> None:
        """Somebody makes a Job that belongs to nobody."""
        ...

    async def hold(self, pod: Pod) -> None:
        """A pod does not go when it is deleted, as that of a lost node."""
        ...

    async def delete_pod(self, pod: Pod) -> None:
        """kubectl delete pod."""
        ...

    async def end(self, pod: Pod, phase: str) -> None:
        """A node says that a pod has ended: Succeeded or Failed."""
        ...


def answer(refusal: Refusal) -> str:
    """The word for a create that is refused; only a name and a namespace are reasons here."""
    if refusal.namespace_terminating:
        return TERMINATING
    return TAKEN if refusal.status == 409 else f"{refusal.status}: {refusal.message}"


def there(view: View) -> Backup:
    """The Backup, which has to be there."""
    assert view.backup is not None
    return view.backup


def pods_of(view: View, job: Job) -> list[Pod]:
    """The pods that a Job has made."""
    uid = job.metadata.uid
    return [pod for pod in view.pods.values() if pod.metadata.ownerReferences[0].uid == uid]
