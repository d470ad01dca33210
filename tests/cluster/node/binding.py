"""Watches the pods that are bound to one node, for ever, whatever the API server does."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from attrs import frozen

from tests.cluster.api import JSON, Api, ApiRefused

from .calls import UNREACHABLE

_PODS = "/api/v1/pods"
_WATCH_SECONDS = "300"
_RELIST_SECONDS = 0.3

_log = logging.getLogger(__name__)


@frozen
class Bound:
    """A pod of this node as it is now."""

    pod: JSON


@frozen
class Forgotten:
    """A pod that the API server has no more."""

    uid: str


@frozen
class Listed:
    """All pods of this node; what is not among them exists no more."""

    pods: tuple[JSON, ...]


News = Bound | Forgotten | Listed


async def bound_pods(api: Api, node: str) -> AsyncGenerator[News, None]:
    """List and watch; on any error list again."""
    while True:
        try:
            async with aclosing(_list_and_watch(api, node)) as stream:
                async for news in stream:
                    yield news
        except (ApiRefused, *UNREACHABLE) as error:
            _log.info("pods of %s: %r", node, error)
        await asyncio.sleep(_RELIST_SECONDS)


async def _list_and_watch(api: Api, node: str) -> AsyncGenerator[News, None]:
    selector = f"spec.nodeName={node}"
    found = await api.get(_PODS, fieldSelector=selector)
    yield Listed(tuple(found["items"]))
    version = found["metadata"]["resourceVersion"]
    query = {"fieldSelector": selector, "resourceVersion": version, "timeoutSeconds": _WATCH_SECONDS}
    async for event in api.watch(_PODS, **query):
        if event["type"] == "ERROR":
            return
        yield read_event(event)


def read_event(event: JSON) -> News:
    """What one watch event means for the node."""
    if event["type"] == "DELETED":
        return Forgotten(event["object"]["metadata"]["uid"])
    return Bound(event["object"])
