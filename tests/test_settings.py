"""What the controller's flags mean."""

from __future__ import annotations

import pytest

from tidbbackup.cli import USAGE, main
from tidbbackup.settings import read_lease, read_namespaces


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a", ("a",)),
        ("a,b-2,3", ("a", "b-2", "3")),
        ("b, a ,b", ("b", "a")),
        ("x" * 63, ("x" * 63,)),
    ],
)
def test_namespaces(text: str, names: tuple[str, ...]) -> None:
    assert read_namespaces(text) == names


@pytest.mark.parametrize("bad", ["Team", "a_b", "-a", "a-", "a.b", "x" * 64, "a b", "ä", "*"])
def test_what_is_no_namespace_is_a_usage_error_that_names_it(
    bad: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["controller", f"--namespaces=good,{bad}"])
    assert ended.value.code == USAGE
    assert (
        f"argument --namespaces: '{bad}' is not a namespace's name: at most 63 of a-z"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("bad", ["", ",", "a,", "a,,b"])
def test_no_name_is_a_usage_error_that_tells_what_to_do(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["controller", f"--namespaces={bad}"])
    assert ended.value.code == USAGE
    assert f"'{bad}' has an empty name; leave the flag out" in capsys.readouterr().err


def test_a_lease_is_a_namespace_and_a_name() -> None:
    assert read_lease("team-a/backup") == ("team-a", "backup")


@pytest.mark.parametrize("bad", ["", "backup", "/backup", "team-a/", "Team/backup", "a/b/c"])
def test_what_is_no_lease_is_a_usage_error(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["controller", f"--lease={bad}"])
    assert ended.value.code == USAGE
    assert f"argument --lease: '{bad}' is not NAMESPACE/NAME" in capsys.readouterr().err
