"""The stages of a Backup and what leads from one to another, as whole lives in a world show it.

`python -m tests.decide.diagram` writes the diagram of docs/explanation/life-of-a-backup.md again.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from tests.decide.lives import DELETED_AT, SCRIPTS, new_world, settle
from tests.decide.world import World, facts_of
from tidbbackup.decide.run.job_state import Absent
from tidbbackup.decide.run.life import Ended, Finished, life_of
from tidbbackup.model.resource.backup import Phase

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "life-of-a-backup.md"


def stage(world: World) -> str:
    """Where a Backup is, in a word or two."""
    found = world.backup
    if found is None:
        return "gone"
    going = found.metadata.deletionTimestamp is not None
    status = found.status
    if status.phase in (Phase.CLEAN, Phase.CLEAN_FAILED):
        return status.phase
    match life_of(facts_of(world.view()), found, world.now).stage:
        case Finished():
            name = str(status.phase)
        case Ended(end):
            return "stopping" if end.stopped else ("to be cleaned" if going else "Inspecting")
        case Absent():
            name = "waits for the next attempt" if status.phase else "new"
        case run:
            name = type(run).__name__
    return f"{name}, deleted" if going else name


def steps() -> dict[tuple[str, str], None]:
    """Which stage follows which, over all scripts and moments of deletion, in the order of their finding."""
    found: dict[tuple[str, str], None] = {}
    for script, deleted_at in itertools.product(SCRIPTS, DELETED_AT):
        world, before = new_world(script, "OnFailure"), ["new"]

        def look(world: World, before: list[str] = before) -> None:
            now = stage(world)
            if now != before[0]:
                found[before[0], now] = None
            before[0] = now

        settle(world, deleted_at, user=look)
        look(world)
    return found


def diagram() -> str:
    """The same in Mermaid."""
    names = {name: re.sub(r"\W+", "_", name) for name in itertools.chain(*steps())}
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f'    state "{name}" as {alias}' for name, alias in names.items()]
    lines += [f"    {names[one]} --> {names[other]}" for one, other in steps()]
    return "\n".join([*lines, "```"])


def page(text: str) -> str:
    """The page with the diagram as the code has it."""
    before, _, after = re.split(r"(?<=<!-- diagram -->\n)(.*?)(?=<!-- end -->)", text, flags=re.DOTALL)
    return f"{before}{diagram()}\n{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
