"""A narrow double of the Client: writes down what it is asked, answers what the test has laid out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import msgspec

from tidbbackup.decide.plan import Tally
from tidbbackup.kube.client import EVERYTHING, Client, Selector
from tidbbackup.kube.errors import ApiError, Status, status_error
from tidbbackup.kube.resources import Resource

OBJECT = {"metadata": {"name": "x", "namespace": "ns", "uid": "u", "resourceVersion": "9"}}


def refusal(code: int, reason: str = "", message: str = "no") -> ApiError:
    """The error for an answer with that code."""
    return status_error("POST /x", code, Status(code=code, reason=reason, message=message))


def uncounted(_: Tally) -> None:
    """Counts nothing, see BackupCounters.count."""


class Recording:
    """`answers` maps `verb Kind` to an error, an object, or (for list) its items; the rest goes well."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {name.replace("_", " "): value for name, value in answers.items()}
        self.asked: list[str] = []
        self.bodies: list[Any] = []
        self.server_time: datetime | None = None

    @property
    def client(self) -> Client:
        """Itself, as what it stands for."""
        return cast(Client, self)

    async def get(self, resource: Resource, namespace: str, name: str) -> bytes:
        """See Client.get."""
        return self._answer("get", resource, namespace, name)

    async def create(self, resource: Resource, namespace: str, body: Any, *, dry_run: bool = False) -> bytes:
        """See Client.create."""
        verb = "dry run of create" if dry_run else "create"
        return self._answer(verb, resource, namespace, body["metadata"]["name"], body)

    async def patch(
        self, resource: Resource, namespace: str, name: str, patch: Any, *, subresource: str = ""
    ) -> bytes:
        """See Client.patch."""
        return self._answer("patch", resource, namespace, f"{name}/{subresource}".rstrip("/"), patch)

    async def delete(self, resource: Resource, namespace: str, name: str, **options: Any) -> bytes:
        """See Client.delete."""
        return self._answer("delete", resource, namespace, name, options)

    async def list_page(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        selector: Selector = EVERYTHING,
        limit: int = 0,
        token: str = "",
    ) -> bytes:
        """See Client.list_page."""
        return self._answer("list", resource, namespace, selector.labels or selector.fields)

    def _answer(self, verb: str, resource: Resource, namespace: str, name: str, body: Any = None) -> bytes:
        self.asked.append(f"{verb} {resource.kind} {namespace}/{name}")
        self.bodies.append(body)
        answer = self.answers.get(f"{verb} {resource.kind}", [] if verb == "list" else OBJECT)
        if isinstance(answer, Exception):
            raise answer
        page = {"kind": f"{resource.kind}List", "metadata": {"resourceVersion": "9"}, "items": answer}
        return msgspec.json.encode(page if verb == "list" else answer)
