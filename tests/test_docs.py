"""The documentation says what the code does, and its pages are whole."""

import io
import re
from pathlib import Path
from types import ModuleType

import pytest

from tidbbackup.model import reasons, schedule_reasons
from tidbbackup.offline import check

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FOLDERS = ("tutorials", "how-to", "reference", "explanation")
FAILURES = (DOCS / "reference" / "failures.md").read_text()
INVARIANTS = (DOCS / "reference" / "invariants.md").read_text()
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(DOCS.rglob("*.md")),
    ROOT / "tests" / "cluster" / "README.md",
]


def words(of: ModuleType) -> list[str]:
    """The reasons that a module names."""
    return sorted(value for name, value in vars(of).items() if name.isupper() and isinstance(value, str))


@pytest.mark.parametrize("reason", words(reasons))
def test_every_reason_is_explained(reason: str) -> None:
    assert reason in FAILURES


@pytest.mark.parametrize("reason", words(schedule_reasons))
def test_every_reason_of_a_schedule_has_a_row(reason: str) -> None:
    _, _, schedules = FAILURES.partition("\n## Schedules")
    assert f"\n| {reason} |" in schedules


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    local = [link for link in links if not link.startswith("http")]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize(
    "page",
    [each for folder in FOLDERS for each in sorted((DOCS / folder).glob("*.md"))],
    ids=lambda page: page.name,
)
def test_the_index_leads_to_every_page(page: Path) -> None:
    assert f"({page.parent.name}/{page.name})" in (DOCS / "README.md").read_text()


EXAMPLES = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in sorted(DOCS.rglob("*.md"))
    for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.M | re.S))
    if "apiVersion: pingcap.com" in block
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_check_takes_each_example_as_it_is(text: str, tmp_path: Path) -> None:
    """Without a warning too: what readers copy is right."""
    file, out = tmp_path / "example.yaml", io.StringIO()
    file.write_text(text)
    assert check([str(file)], out, out) == 0, out.getvalue()
    assert all(line.endswith(": ok") for line in out.getvalue().splitlines()), out.getvalue()


def anchors(page: Path) -> set[str]:
    """What a link may have behind its `#`, by GitHub: small letters, no marks, a hyphen for a space."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_headings(page: Path) -> None:
    links = re.findall(r"\]\((?!http)([^)#\s]*)#([^)\s]+)\)", page.read_text())
    lost = [(path, to) for path, to in links if to not in anchors(page.parent / path if path else page)]
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_table_is_cut(page: Path) -> None:
    """A row behind an empty line is the head of another table, and has a line of dashes below it."""
    heads = re.findall(r"(?:^|\n)\n\|[^\n]*\n([^\n]*)", page.read_text())
    assert [line for line in heads if not re.fullmatch(r"[|\- :]+", line)] == []


def test_invariants_are_numbered_without_gaps() -> None:
    numbers = [int(number) for number in re.findall(r"^\| I(\d+) \|", INVARIANTS, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(
    "page",
    [
        "docs/explanation/architecture.md",
        "docs/reference/glossary.md",
        "docs/reference/invariants.md",
        "tests/cluster/README.md",
    ],
)
def test_pages_name_files_that_exist(page: str) -> None:
    text, places = (ROOT / page).read_text(), (ROOT, ROOT / "tidbbackup", (ROOT / page).parent)
    named = re.findall(r"`([\w./]+\.py|tests/[\w/*]+)`", text)
    assert named
    assert [name for name in named if not any([*place.glob(name)] for place in places)] == []


def test_bad_input_names_tests_that_exist() -> None:
    """Each row by itself: "same" would mean another file once a row is put in between."""
    rows = re.findall(r"^\|.*\| ([^|]*) \|$", (DOCS / "reference" / "bad-input.md").read_text(), re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([\w/]*test_\w+\.py)`", row)]
    assert named
    tops = (ROOT, ROOT / "tests" / "integration")
    assert [name for name in named if not any((top / name).exists() for top in tops)] == []
    assert [row for row in rows if row.startswith("same")] == []


def test_each_fault_names_tests_that_exist() -> None:
    page = (DOCS / "reference" / "faults.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 60
    assert [
        f"{file}::{name}" for file, name in named if f"def {name}(" not in (ROOT / file).read_text()
    ] == []
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| fault ")]
    assert [row for row in rows if "::" not in row] == []
