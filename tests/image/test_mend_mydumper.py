"""The one change that the image makes to mydumper."""

import shutil
from pathlib import Path

import pytest

from image.mend_mydumper import mended
from tidbbackup.worker.dumpers.mydumper.hazards import quirks

OLD = b"\x7fELF select ... extra like '%%GENERATED%%'\x00... extra not like '%%GENERATED%%'\x00"


def test_both_queries_are_mended_and_nothing_moves() -> None:
    new = mended(OLD)

    assert len(new) == len(OLD)
    assert new.count(b"like'%% GENERATED%%'\x00") == 2
    assert not quirks(new).omits_defaults


@pytest.mark.parametrize("program", [mended(OLD), OLD + b" and extra not like '%%DEFAULT_GENERATED%%'"])
def test_what_needs_no_mending_stays_as_it_is(program: bytes) -> None:
    assert mended(program) == program


def test_an_unknown_build_is_refused() -> None:
    with pytest.raises(ValueError, match="1 queries to mend instead of 2"):
        mended(OLD.replace(b"not like '%%GENERATED%%'", b"not like 'x'"))


def test_the_installed_mydumper_can_be_mended() -> None:
    installed = shutil.which("mydumper")
    assert installed is not None, "run `make setup`"

    assert not quirks(mended(Path(installed).read_bytes())).omits_defaults
