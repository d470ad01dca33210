"""The health checks for Argo CD in docs/how-to/gitops.md, run by a Lua interpreter as Argo CD runs them."""

import re
from pathlib import Path
from typing import Any

import lupa
import pytest
import yaml

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "gitops.md"
(BLOCK,) = re.findall(r"```yaml\n(data:.*?)```", PAGE.read_text(), re.DOTALL)
CHECKS: dict[str, str] = yaml.safe_load(BLOCK)["data"]


def health(kind: str, status: dict[str, Any] | None) -> tuple[str, str]:
    """Status and message of an object of ours."""
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)
    lua.globals()["obj"] = lua.table_from({"status": status} if status is not None else {}, recursive=True)
    found = lua.execute(CHECKS[f"resource.customizations.health.pingcap.com_{kind}"])
    return found.status, found.message


def of(phase: str) -> dict[str, Any]:
    """The status of a Backup or Restore in this phase, which was Scheduled before."""
    words = {"reason": "Because", "message": "said"}
    before = {"type": "Scheduled", "status": "False", "reason": "JobCreated", "message": "made"}
    return {"phase": phase, "conditions": [before, {"type": phase, "status": "True", **words}]}


@pytest.mark.parametrize("kind", ["Backup", "Restore", "BackupSchedule"])
def test_what_has_no_status_is_progressing(kind: str) -> None:
    assert health(kind, None)[0] == "Progressing"


@pytest.mark.parametrize("kind", ["Backup", "Restore"])
@pytest.mark.parametrize(
    ("phase", "wanted"),
    [("Running", "Progressing"), ("Complete", "Healthy"), ("Failed", "Degraded"), ("Invalid", "Degraded")],
)
def test_a_run(kind: str, phase: str, wanted: str) -> None:
    assert health(kind, of(phase)) == (wanted, "Because: said")


def test_a_backup_whose_archive_cannot_be_cleaned_is_degraded() -> None:
    assert health("Backup", of("CleanFailed"))[0] == "Degraded"


@pytest.mark.parametrize(
    ("status", "reason", "wanted"),
    [
        ("True", "Ready", "Healthy"),
        ("False", "InvalidSchedule", "Degraded"),
        ("False", "Paused", "Suspended"),
    ],
)
def test_a_schedule(status: str, reason: str, wanted: str) -> None:
    ready = {"type": "Ready", "status": status, "reason": reason, "message": "said"}
    assert health("BackupSchedule", {"conditions": [ready]}) == (wanted, f"{reason}: said")
