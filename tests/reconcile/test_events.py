"""Who asks for Events alone has a list of its own; many at once share one."""

from __future__ import annotations

import asyncio

import pytest

from tests.reconcile.recording import Recording, refusal
from tidbbackup.decide.plan import Look
from tidbbackup.kube.errors import ServerError
from tidbbackup.model.resource.kubernetes import Happening
from tidbbackup.reconcile.events import FEW, SECONDS, EventLists

pytestmark = pytest.mark.looptime


def look(uid: str, namespace: str = "ns") -> Look:
    """The look for what is said of an object."""
    return Look("Event", namespace, fields=f"involvedObject.uid={uid}")


def event(name: str, uid: str, message: str = "no") -> dict[str, object]:
    """An Event about a pod."""
    about = {"kind": "Pod", "name": name, "uid": uid}
    return {"metadata": {"name": f"{name}.1", "namespace": "ns"}, "involvedObject": about, "message": message}


async def test_a_few_questions_are_asked_one_by_one() -> None:
    double = Recording()
    lists = EventLists(double.client)
    for number in range(FEW):
        await lists.find(look(str(number)))
    assert double.asked == [f"list Event ns/involvedObject.uid={number}" for number in range(FEW)]


async def test_many_share_one_list_for_some_seconds_and_each_finds_its_own() -> None:
    said = [event("backup-a-1", "a", "quota"), event("backup-b-1", "b", "mount"), event("web-1", "c")]
    double = Recording(list_Event=said)
    lists = EventLists(double.client)
    for _ in range(FEW):
        await lists.find(look("x"))
    found = await asyncio.gather(*(lists.find(look(uid)) for uid in "abcd"))
    words = [[each.message for each in some if isinstance(each, Happening)] for some in found]
    assert words == [["quota"], ["mount"], [], []]
    claim = Look(
        "Event", "ns", fields="involvedObject.kind=PersistentVolumeClaim,involvedObject.name=backup-a-1"
    )
    assert await lists.find(claim) == ()
    assert double.asked[FEW:] == ["list Event ns/"]

    await lists.find(look("a", "other"))
    await asyncio.sleep(SECONDS)
    await lists.find(look("a"))
    assert double.asked[FEW + 1 :] == [f"list Event {each}/involvedObject.uid=a" for each in ("other", "ns")]


async def test_a_list_that_fails_fails_for_those_who_share_it_and_is_made_anew_later() -> None:
    double = Recording(list_Event=refusal(500))
    lists = EventLists(double.client)
    results = await asyncio.gather(*(lists.find(look("a")) for _ in range(FEW + 2)), return_exceptions=True)
    assert [type(each) for each in results] == [ServerError] * (FEW + 2)
    double.answers["list Event"] = [event("backup-a-1", "a")]
    await asyncio.sleep(SECONDS)
    assert len(await lists.find(look("a"))) == 1
