"""The verbs of the API: get, list, watch, create, patch, delete.

Bodies are mappings or JSON bytes in requests, and bytes in answers. Must not know what they mean, nor how
requests are sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, Self

import msgspec
from attrs import frozen

from tidbbackup.kube.resources import Resource
from tidbbackup.kube.transport import JSON, NO_QUERY, Request, Transport

Body = Mapping[str, Any] | bytes
Propagation = Literal["Background", "Foreground", "Orphan"]

MERGE_PATCH = "application/merge-patch+json"


@frozen
class Selector:
    """Which objects of a kind to list and watch, in the API's own syntax."""

    labels: str = ""
    fields: str = ""

    def query(self) -> dict[str, str]:
        """As URL parameters."""
        both = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {name: value for name, value in both.items() if value}


EVERYTHING = Selector()


class Client(Transport):
    """Sends requests; every method raises ApiError, and no other error, when one fails."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def get(self, resource: Resource, namespace: str, name: str) -> bytes:
        """One object, as the API server has it now."""
        return await self.ask(Request("GET", resource.path(namespace, name)))

    async def create(self, resource: Resource, namespace: str, body: Body, *, dry_run: bool = False) -> bytes:
        """Creates; AlreadyExists if the name is taken. Returns the object with its uid.

        `dry_run`: all checks are made, nothing is stored.
        """
        query = {"dryRun": "All"} if dry_run else {}
        return await self._write("POST", resource.path(namespace), body, query=query)

    async def patch(
        self, resource: Resource, namespace: str, name: str, patch: Body, *, subresource: str = ""
    ) -> bytes:
        """Merge-patches; Conflict where the patch carries a resourceVersion that is not the newest."""
        path = resource.path(namespace, name, subresource)
        return await self._write("PATCH", path, patch, MERGE_PATCH)

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str,
        propagation: Propagation = "Background",
    ) -> bytes:
        """Deletes exactly the object with that uid; Conflict if another one has its name now."""
        options = {"preconditions": {"uid": uid}, "propagationPolicy": propagation}
        return await self._write("DELETE", resource.path(namespace, name), options)

    async def list_page(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        selector: Selector = EVERYTHING,
        limit: int = 0,
        token: str = "",
    ) -> bytes:
        """One page of the consistent list; `limit` 0 is all, `token` is the page before's.

        Raises TooLong if it has more bytes than the limit of an answer: then a smaller `limit` helps.
        """
        query = selector.query()
        # No resourceVersion, ever: "0" may be served from a cache that goes back in time.
        if limit:
            query["limit"] = str(limit)
        if token:
            query["continue"] = token
        return await self.ask(Request("GET", resource.path(namespace), query))

    @asynccontextmanager
    async def watch(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        version: str,
        seconds: int,
        selector: Selector = EVERYTHING,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """A watch from `version` on, as chunks of bytes; the server ends it after `seconds`.

        Asks only once: the reflector decides when and how to ask again.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
            **selector.query(),
        }
        async with self.stream(Request("GET", resource.path(namespace), query), seconds) as chunks:
            yield chunks

    async def _write(
        self, method: str, path: str, body: Body, kind: str = JSON, query: Mapping[str, str] = NO_QUERY
    ) -> bytes:
        sent = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return await self.ask(Request(method, path, query, sent, kind))
