"""What is said where no whole node can run."""

import os

import pytest

from . import prerequisites


def test_no_set_up_makes_a_user_root(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert prerequisites.main() == 1

    assert "needs root: run `make test-e2e` as root" in capsys.readouterr().err
    assert "needs root" in prerequisites.missing()


def test_what_is_not_installed_is_named_but_does_not_make_it_impossible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prerequisites, "impossible", lambda: "")
    monkeypatch.setattr(prerequisites, "PROGRAMS", ("sh", "no-such-program"))

    assert "needs no-such-program" in prerequisites.missing()
    assert prerequisites.main() == 0
