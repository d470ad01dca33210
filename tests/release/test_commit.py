"""A release is made of a commit: what is not in one stops it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from release import build
from tests.skips import skip


def test_a_checkout_with_uncommitted_changes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not shutil.which("git"):
        skip("there is no git here to make a repository with")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "new.py").touch()
    (tmp_path / "dist").mkdir()
    (tmp_path / ".gitignore").write_text("dist/\n")
    (tmp_path / "dist" / "of-the-last-release").touch()
    monkeypatch.setattr(build, "ROOT", tmp_path)

    assert build.main([]) == 1

    assert "commit or remove these" in (said := capsys.readouterr().err)
    assert "new.py" in said
    assert [path.name for path in (tmp_path / "dist").iterdir()] == ["of-the-last-release"]
