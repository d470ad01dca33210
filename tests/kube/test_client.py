"""What each verb puts on the wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from tests.kube.http_peer import answer, http_peer
from tidbbackup.kube.client import Client, Selector
from tidbbackup.kube.resources import JOBS, PODS

OBJECT = {"metadata": {"name": "a", "namespace": "ns", "uid": "u", "resourceVersion": "11"}}
JOB = "/apis/batch/v1/namespaces/ns/jobs"
PLAIN = "application/json"


@pytest.mark.parametrize(
    ("call", "line", "kind", "body"),
    [
        (lambda c: c.get(JOBS, "ns", "a"), f"GET {JOB}/a", PLAIN, None),
        (lambda c: c.create(JOBS, "ns", {"x": 1}), f"POST {JOB}", PLAIN, {"x": 1}),
        (lambda c: c.create(JOBS, "ns", b'{"x":1}'), f"POST {JOB}", PLAIN, {"x": 1}),
        (lambda c: c.create(JOBS, "ns", {"x": 1}, dry_run=True), f"POST {JOB}?dryRun=All", PLAIN, {"x": 1}),
        (
            lambda c: c.patch(JOBS, "ns", "a", {"x": None}),
            f"PATCH {JOB}/a",
            "application/merge-patch+json",
            {"x": None},
        ),
        (
            lambda c: c.delete(JOBS, "ns", "a", uid="u"),
            f"DELETE {JOB}/a",
            PLAIN,
            {"preconditions": {"uid": "u"}, "propagationPolicy": "Background"},
        ),
        (
            lambda c: c.delete(PODS, "ns", "a", uid="u", propagation="Foreground"),
            "DELETE /api/v1/namespaces/ns/pods/a",
            PLAIN,
            {"preconditions": {"uid": "u"}, "propagationPolicy": "Foreground"},
        ),
        (
            lambda c: c.list_page(PODS, selector=Selector("a=b,c", "x=y"), limit=5, token="t+/="),
            "GET /api/v1/pods?labelSelector=a%3Db,c&fieldSelector=x%3Dy&limit=5&continue=t%2B/%3D",
            PLAIN,
            None,
        ),
    ],
)
async def test_verbs(call: Callable[[Client], Awaitable[bytes]], line: str, kind: str, body: object) -> None:
    async with http_peer([answer(200, OBJECT)]) as peer, Client(peer.connection()) as client:
        assert msgspec.json.decode(await call(client)) == OBJECT
    asked = peer.asked[0]
    assert asked.line == f"{line} HTTP/1.1"
    assert asked.headers["content-type"] == kind
    assert (msgspec.json.decode(asked.body) if asked.body else None) == body


async def test_a_watch_asks_for_bookmarks_from_its_version() -> None:
    async with (
        http_peer([answer(200, b"one\ntwo\n")]) as peer,
        Client(peer.connection()) as client,
        client.watch(PODS, "ns", version="7", seconds=290) as chunks,
    ):
        assert b"".join([chunk async for chunk in chunks]) == b"one\ntwo\n"
    path, query = peer.asked[0].line.split()[1].split("?")
    assert path == "/api/v1/namespaces/ns/pods"
    wanted = "watch=true&allowWatchBookmarks=true&resourceVersion=7&timeoutSeconds=290"
    assert query == wanted
