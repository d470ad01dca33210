"""What is left to do after a run."""

import pytest

from tidbbackup.model.contract.aftermath import NO_AFTERMATH, Aftermath, Data, Part


@pytest.mark.parametrize(
    ("aftermath", "parts"),
    [
        (NO_AFTERMATH, []),
        (Aftermath((Part.INSPECT, Part.RELEASE)), [Part.INSPECT, Part.RELEASE]),
        (Aftermath((Part.CLEAN,), Data.DELETE_UNLESS_WHOLE), [Part.CLEAN]),
    ],
)
def test_which_parts_it_has(aftermath: Aftermath, parts: list[Part]) -> None:
    assert bool(aftermath) == bool(parts)
    assert [part for part in Part if part in aftermath] == parts
