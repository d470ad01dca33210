"""A shell completes verbs, options, choices and files of our command line."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from tidbbackup.arguments import parser
from tidbbackup.cli import main
from tidbbackup.completion import SHELLS, completion


def script(shell: str) -> str:
    """What `tidbbackup completion SHELL` prints."""
    out = io.StringIO()
    assert completion(parser(), shell, out, sys.stderr) == 0
    return out.getvalue()


def completed(*words: str, folder: Path | None = None) -> set[str]:
    """What bash offers for the last of these words."""
    steps = f'{script("bash")}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_tidbbackup || true'
    show = "printf '%s\\n' \"${COMPREPLY[@]}\""
    bash = ("bash", "--norc", "-c", f"{steps}\n{show}", "bash", "tidbbackup", *words)
    done = subprocess.run(bash, check=True, capture_output=True, text=True, cwd=folder)
    return set(done.stdout.split())


def test_verbs() -> None:
    assert completed("re") == {"restore", "render"}


def test_options_of_a_verb() -> None:
    assert completed("adopt", "--ca") == {"--ca", "--ca-secret"}


def test_choices_of_an_option() -> None:
    assert completed("restore", "--overwrite", "") == {"never", "tables"}
    assert completed("completion", "") == set(SHELLS)


def test_files_where_files_are_taken(tmp_path: Path) -> None:
    (tmp_path / "backup.yaml").touch()
    (tmp_path / "folder").mkdir()

    assert completed("check", "ba", folder=tmp_path) == {"backup.yaml"}
    assert completed("run", "-f", "ba", folder=tmp_path) == {"backup.yaml"}
    assert completed("run", "--staging", "", folder=tmp_path) == {"folder"}


@pytest.mark.parametrize("shell", SHELLS)
def test_each_script_knows_every_verb(shell: str) -> None:
    text = script(shell)

    for verb in ("status", "run-now", "explain", "completion"):
        assert verb in text


def test_without_shtab_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)

    assert main(["completion", "bash"]) == 1

    assert "pip install 'tidbbackup[completion]'" in capsys.readouterr().err
