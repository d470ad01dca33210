"""Following, played by a script on a virtual clock: what is listed and watched, from where, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from itertools import pairwise

import msgspec
import pytest

from tests.kube.scripted import Recorded, ScriptedSource, Step
from tests.kube.things import THINGS, Thing, bookmark, decode_thing, error_line, line, page, thing
from tidbbackup.kube.decode import Malformed
from tidbbackup.kube.errors import ApiError, Forbidden, Gone, Status, TooLong, TooManyRequests, TransportError
from tidbbackup.kube.pace import TIMING
from tidbbackup.kube.store import Store
from tidbbackup.kube.transport import ANSWER_LIMIT
from tidbbackup.kube.updates import Applied, Bookmark, Deleted, Relisted, Update
from tidbbackup.kube.watch import SLICE, Target, list_all, updates

pytestmark = pytest.mark.looptime

TARGET = Target(THINGS, decode_thing)
GONE = Gone("GET /x", 410, Status(reason="Expired"))
CUT = TransportError("cut")
LONG = TooLong("GET /x: too long")


def _nothing() -> None:
    """Nobody listens."""


async def _first(
    count: int, source: ScriptedSource, recorded: Recorded | None = None, within: float = 1e6
) -> list[Update[Thing]]:
    """The first updates, or fewer if no more come in time."""
    metrics = (recorded or Recorded()).metrics
    followed = updates(source, TARGET, timing=TIMING, metrics=metrics, heard=_nothing, jitter=lambda: 0.0)
    found: list[Update[Thing]] = []
    async with aclosing(followed):
        try:
            async with asyncio.timeout(within):
                while len(found) < count:
                    found.append(await anext(followed))
        except TimeoutError:
            pass
    assert source.open == 0
    return found


def _watching(*watches: Iterable[Step] | ApiError) -> ScriptedSource:
    return ScriptedSource([page(10, thing("a", 5)), *[page(90 + n) for n in range(9)]], watches)


async def test_first_a_list_then_a_watch_from_its_version() -> None:
    source = _watching([line("ADDED", thing("b", 11)), line("DELETED", thing("b", 12)), bookmark(13)])
    assert await _first(4, source) == [
        Relisted((thing("a", 5),), "10"),
        Applied(thing("b", 11)),
        Deleted(thing("b", 12)),
        Bookmark("13"),
    ]
    assert source.watched == [(0, "10")]
    assert source.seconds == [290]


async def test_pages_are_joined_and_only_then_given() -> None:
    source = ScriptedSource(
        [page(10, thing("a", 5), token="t1"), page(10, token="t2"), page(10, thing("b", 6))]
    )
    assert await _first(1, source) == [Relisted((thing("a", 5), thing("b", 6)), "10")]
    assert [(limit, token) for _, limit, token in source.lists] == [(500, ""), (500, "t1"), (500, "t2")]


async def test_a_token_that_expires_between_pages_leads_to_a_new_list() -> None:
    source = ScriptedSource([page(10, thing("old", 5), token="t1"), GONE, page(20, thing("a", 15))])
    assert await _first(1, source) == [Relisted((thing("a", 15),), "20")]
    assert source.lists == [(0, 500, ""), (0, 500, "t1"), (0.8, 500, "")]


async def test_half_a_list_is_never_given() -> None:
    source = ScriptedSource([page(10, thing("a", 5), token="t1"), CUT, page(20, thing("b", 15))])
    assert await _first(1, source) == [Relisted((thing("b", 15),), "20")]
    assert source.lists[-1] == (0.8, 500, "")


@pytest.mark.parametrize(
    "answer",
    [
        Forbidden("GET /x", 403, Status()),
        TooManyRequests("GET /x", 429, Status()),
        GONE,
        CUT,
        b'{"kind": "Status", "code": 500}',
        b"<html>",
    ],
)
async def test_a_list_that_fails_gives_nothing_and_is_tried_again(answer: bytes | ApiError) -> None:
    source = ScriptedSource([answer, page(20)])
    assert await _first(1, source) == [Relisted((), "20")]
    assert source.lists[-1][0] == 0.8


@pytest.mark.parametrize("end", [[error_line(410, "Expired")], GONE])
async def test_an_expired_version_leads_to_a_new_list(end: Iterable[Step] | ApiError) -> None:
    recorded = Recorded()
    source = _watching(end)
    assert len(await _first(2, source, recorded)) == 2
    assert (recorded.lists, recorded.restarts) == (2, ["expired"])
    assert [at for at, _, _ in source.lists] == [0, 0.8]


@pytest.mark.parametrize(
    ("failure", "reason", "wait"),
    [
        (CUT, "connection", 0.8),
        (TooManyRequests("GET /x", 429, Status()), "throttled", 0.8),
        (TooManyRequests("GET /x", 429, Status(), retry_after=5), "throttled", 5),
        (Forbidden("GET /x", 403, Status()), "forbidden", 0.8),
        ([error_line(500, "InternalError")], "server_error", 0.8),
        ([line("ADDED", thing("a", 11))[:-9], CUT], "connection", 0.8),
        ([], "short", 0.8),
        ([b'{"ty'], "short", 0.8),
    ],
)
async def test_other_failures_keep_the_version(
    failure: Iterable[Step] | ApiError, reason: str, wait: float
) -> None:
    recorded = Recorded()
    source = _watching(failure, [bookmark(15)])
    assert (await _first(2, source, recorded))[1] == Bookmark("15")
    assert source.watched == [(0, "10"), (wait, "10")]
    assert (recorded.lists, recorded.restarts) == (1, [reason])


async def test_a_line_that_cannot_be_read_may_hide_a_change_and_leads_to_a_list() -> None:
    recorded = Recorded()
    await _first(2, _watching([b"<html>\n"]), recorded)
    assert (recorded.lists, recorded.restarts) == (2, ["bad_answer"])


async def test_a_watch_goes_on_where_the_last_one_ended() -> None:
    source = _watching(
        [line("ADDED", thing("b", 11)), 60.0, bookmark(12), b'{"cut'], [bookmark(20)], [bookmark(30)]
    )
    assert (await _first(5, source))[-1] == Bookmark("30")
    # An end that brought us further, or came after a while, needs no rest.
    assert source.watched == [(0, "10"), (60, "12"), (60, "20")]


async def test_silence_of_seventy_seconds_ends_a_watch() -> None:
    recorded = Recorded()
    source = _watching([60.0, bookmark(11), 69.0, bookmark(12), 1000.0, bookmark(13)], [bookmark(14)])
    assert await _first(4, source, recorded) == [
        Relisted((thing("a", 5),), "10"),
        Bookmark("11"),
        Bookmark("12"),
        Bookmark("14"),
    ]
    assert source.watched[1] == (199.0, "12")
    assert recorded.restarts == ["silence"]


async def test_a_server_that_closes_at_once_is_asked_seldom() -> None:
    source = _watching(*[[] for _ in range(1000)])
    await _first(99, source, within=600)
    per_minute = [sum(60 * n <= at < 60 * (n + 1) for at, _ in source.watched) for n in range(10)]
    assert max(per_minute) <= 20
    assert len(source.lists) == 1


async def test_a_version_that_expires_each_time_leads_to_fewer_and_fewer_lists() -> None:
    source = _watching(*[[error_line(410, "Expired")] for _ in range(5)])
    await _first(6, source)
    assert [round(at, 1) for at, _, _ in source.lists] == [0, 0.8, 2.4, 5.6, 12.0, 24.8]


async def test_saying_the_same_again_and_closing_is_closing_at_once() -> None:
    source = _watching(*[[bookmark(10)] for _ in range(1000)])
    await _first(999, source, within=60)
    assert len(source.watched) <= 8


async def test_an_outage_of_ten_minutes_is_over_within_one_wait() -> None:
    source = _watching(*[CUT] * 24, [bookmark(11)])
    assert (await _first(2, source))[-1] == Bookmark("11")
    waits = [later - sooner for (sooner, _), (later, _) in pairwise(source.watched)]
    assert max(waits) == pytest.approx(30)
    assert len(source.lists) == 1


async def test_an_odd_object_does_not_stop_the_others() -> None:
    odd = line("ADDED", thing("odd", 11)).replace(b'"data":{}', b'"data":{"a":1}')
    found = await _first(3, _watching([odd, line("ADDED", thing("b", 12))]))
    assert isinstance(found[1], Applied)
    assert isinstance(found[1].object, Malformed)
    assert found[2] == Applied(thing("b", 12))


async def test_a_line_of_any_length() -> None:
    big = thing("big", 11, text="x" * 1_400_000)
    sent = line("ADDED", big)
    chunks = [sent[start : start + 4096] for start in range(0, len(sent), 4096)]
    found = await _first(3, _watching([*chunks, line("ADDED", thing("b", 12))]))
    assert isinstance(found[1], Applied)
    assert found[1].object.metadata == big.metadata
    assert found[2] == Applied(thing("b", 12))


async def test_a_line_without_an_end_leads_to_a_list() -> None:
    recorded = Recorded()
    await _first(2, _watching([b"x" * 65536] * 200), recorded)
    assert (recorded.lists, recorded.restarts) == (2, ["bad_answer"])


async def test_a_page_that_is_too_long_is_asked_for_in_smaller_ones() -> None:
    half = "x" * (ANSWER_LIMIT // 2)
    source = ScriptedSource(
        [
            *(page(10, thing("a", 5), token="t1"), LONG, LONG, page(10, thing("b", 6), token="t2")),
            *(page(10, thing("c", 7, text=half), token="t3"), LONG, LONG, LONG, LONG, LONG, page(20)),
        ]
    )
    assert await _first(1, source) == [Relisted((), "20")]
    assert [(limit, token) for _, limit, token in source.lists] == [
        *((500, ""), (500, "t1"), (62, "t1"), (7, "t1"), (500, "t2")),
        *((499, "t3"), (62, "t3"), (7, "t3"), (1, "t3"), (500, "")),
        *((62, ""),),
    ]


async def test_others_have_their_turn_within_a_page() -> None:
    large = page(10, *(thing(f"t{number}", 5, text="x" * 50_000) for number in range(100)))
    taken, seen = 0, [0]

    def decode(raw: msgspec.Raw) -> Thing:
        nonlocal taken
        taken += len(raw)
        return decode_thing(raw)

    async def others() -> None:
        while True:
            seen.append(taken)
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await list_all(ScriptedSource([large]), Target(THINGS, decode), 500)
    beside.cancel()
    assert max(later - earlier for earlier, later in pairwise([*seen, taken])) < SLICE + 100_000


STREAM = (
    line("ADDED", thing("b", 11)),
    line("MODIFIED", thing("a", 12, colour="red")),
    bookmark(13),
    line("DELETED", thing("b", 14)),
    line("ADDED", thing("b", 15, uid="another")),
)


def _resumed(version: str) -> bytes:
    """What a server sends to one who has seen `version`."""
    return b"".join(text for number, text in zip(range(11, 16), STREAM, strict=True) if number > int(version))


class _CutOnce(ScriptedSource):
    """Cuts the first watch after `cut` bytes, and gives the second what the first has not told."""

    def __init__(self, cut: int) -> None:
        super().__init__([page(10, thing("a", 5))])
        self._cut = cut

    def script(self, version: str) -> Iterable[Step] | ApiError:
        """See ScriptedSource."""
        sent = _resumed(version)
        return [sent[: self._cut], CUT] if len(self.watched) == 1 else [sent, 1e9]


async def test_a_cut_at_any_byte_loses_nothing() -> None:
    for cut in range(len(b"".join(STREAM)) + 1):
        source, store = _CutOnce(cut), Store[Thing](THINGS)
        followed = updates(
            source, TARGET, timing=TIMING, metrics=Recorded().metrics, heard=_nothing, jitter=lambda: 0.0
        )
        async with aclosing(followed):
            while store.cache.version != "15":
                store.apply(await anext(followed))
        assert store.cache.all() == (thing("a", 12, colour="red"), thing("b", 15, uid="another"))
        assert len(source.lists) == 1
