"""The simulation finds bugs: each is planted into the product for one test, and some seed shows it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from tests.simulation.simulation import simulate
from tidbbackup.kube.agenda import Agenda
from tidbbackup.kube.writes import Writer

Plant = Callable[[pytest.MonkeyPatch], None]
AT_MOST = 20
"""Seeds that are tried."""


def found_by(word: str) -> tuple[int, str] | None:
    """The first seed that fails with that word, and what it says."""
    for seed in range(AT_MOST):
        broken = simulate(seed).broken
        if word in broken:
            return seed, broken
    return None


def lost_wake_up(patch: pytest.MonkeyPatch) -> None:
    """What is put while its key is worked on is forgotten."""
    put = Agenda.put

    def forgetful(self: Agenda[Any], key: Any, at: float) -> None:
        if key not in self._active:
            put(self, key, at)

    patch.setattr(Agenda, "put", forgetful)


def no_name_lock(patch: pytest.MonkeyPatch) -> None:
    """Each create has a name of its own, as with generateName."""
    create, numbers = Writer.create, count()

    async def unlocked(self: Writer, resource: Any, namespace: str, body: Any) -> bytes:
        meta = body["metadata"]
        named = {**body, "metadata": {**meta, "name": f"{meta['name']}-{next(numbers)}"}}
        return await create(self, resource, namespace, named)

    patch.setattr(Writer, "create", unlocked)


@pytest.mark.parametrize(
    ("plant", "word"),
    [(lost_wake_up, "at the end"), (no_name_lock, "made beside")],
)
def test_a_planted_bug_is_found(plant: Plant, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert found_by(word), f"no seed below {AT_MOST} shows it"
