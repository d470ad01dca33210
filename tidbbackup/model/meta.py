"""What every Kubernetes object has: its key, its metadata, its owner.

Classes here and in the other wire modules keep the API's own spelling (camelCase), so that
msgspec decodes bytes directly into them and a reader finds a field by the name that kubectl shows.
Must not know any particular kind.
"""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen


@frozen(order=True)
class ObjectKey:
    """Names one object of one kind; all that a queue carries."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@frozen
class OwnerReference:
    """The owner of an object; its uid distinguishes an owner that was created again from the old one."""

    apiVersion: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Group, kind, name and uid. Without the version: every version of a group serves the same object."""
        return self.apiVersion.rpartition("/")[0], self.kind, self.name, self.uid


@frozen
class Meta:
    """The part of `metadata` that we use; times are aware and in UTC.

    managedFields is not read: it can be more than half of an object.
    """

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""
    generation: int = 0
    creationTimestamp: datetime | None = None
    deletionTimestamp: datetime | None = None
    labels: dict[str, str] = field(factory=dict)
    annotations: dict[str, str] = field(factory=dict)
    finalizers: tuple[str, ...] = ()
    ownerReferences: tuple[OwnerReference, ...] = ()

    @property
    def owner(self) -> OwnerReference | None:
        """The controlling owner, if there is one."""
        return next((ref for ref in self.ownerReferences if ref.controller), None)


@frozen
class Definition:
    """The fields of a CustomResourceDefinition that we read."""

    metadata: Meta
