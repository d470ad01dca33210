"""Every command of the runbooks works as it stands there, on a real cluster with the product in it.

What changes something is asked of the API server as a dry run.
"""

import re

import pytest

from tests.cluster.lab import ROOT
from tests.e2e.installation import Installation, Site

pytestmark = [pytest.mark.integration, pytest.mark.e2e]

RUNBOOKS = sorted((ROOT / "docs" / "how-to" / "runbooks").glob("Tidb*.md"))
SCHEDULE = "backup-schedule-s3.yaml"


def commands(text: str) -> list[str]:
    """The indented lines of a page, each a command."""
    return re.findall(r"^(?:   )?    (\S.*)$", text, re.MULTILINE)


def harmless(command: str) -> str:
    """The command, as a dry run if it changes anything; `can-i` may say no, which is exit code 1."""
    if " can-i " in command:
        return f"{command} || test $? = 1"
    changes = re.search(r"\b(scale|delete|patch|annotate)\b", command)
    return f"{command} --dry-run=server" if changes else command


def test_a_command_that_changes_something_is_a_dry_run() -> None:
    found = commands("Do\n\n    kubectl get bk\n\n1. Then\n\n       kubectl delete bk $BACKUP\n\nnot this\n")
    assert [harmless(each) for each in found] == [
        "kubectl get bk",
        "kubectl delete bk $BACKUP --dry-run=server",
    ]


@pytest.mark.side_by_side
async def test_commands_of_the_runbooks(installed: Installation, site: Site) -> None:
    schedule = site.example(SCHEDULE, schedule="0 3 1 1 *")
    name = await site.apply(schedule)
    backup = await site.apply(site.example("backup-s3.yaml"))
    await site.over(backup)
    names = f"export NAMESPACE={site.name} SCHEDULE={name} BACKUP={backup}"
    asked: set[str] = set()
    for page in RUNBOOKS:
        found = [harmless(command) for command in commands(page.read_text())]
        assert found, f"{page.stem} has no command"
        new = [command for command in dict.fromkeys(found) if command not in asked]
        asked.update(new)
        await installed.shell("\n".join([names, "set -x", *new]))
