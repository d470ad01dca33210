"""What is left to do after a run, as a Job bears it in an annotation."""

import pytest

from tidbbackup.model.contract.aftermath import NO_AFTERMATH, Aftermath, Data, Part


@pytest.mark.parametrize(
    ("aftermath", "text"),
    [
        (NO_AFTERMATH, ""),
        (Aftermath((Part.INSPECT,)), "inspect"),
        (Aftermath((Part.INSPECT, Part.RELEASE)), "inspect release"),
        (Aftermath((Part.CLEAN, Part.RELEASE), Data.DELETE), "clean release delete"),
        (Aftermath((Part.CLEAN,), Data.DELETE_UNLESS_WHOLE), "clean delete-unless-whole"),
    ],
)
def test_its_words(aftermath: Aftermath, text: str) -> None:
    assert str(aftermath) == text
    assert bool(aftermath) == bool(text)
    assert [part for part in Part if part in aftermath] == [part for part in Part if part in text.split()]
