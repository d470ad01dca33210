"""The tables of docs/reference/invariants.md are those of the code, each row has a test of its id.

The rows are in decide/rows.py.
"""

import importlib

import pytest

from manifests.tables import PAGE, TABLES, page
from tidbbackup.decide.rows import Row

EXAMPLES = {
    "Living": "tests.decide.test_backup",
    "Finished": "tests.decide.aftermath.test_finished",
    "Inspecting": "tests.decide.aftermath.test_inspection",
    "Leaving": "tests.decide.test_gc",
    "Restoring": "tests.decide.test_restore",
    "AftermathJob": "tests.decide.aftermath.test_job",
}


def test_the_page_is_written_from_the_rows() -> None:
    assert PAGE.read_text() == page(PAGE.read_text()), "run python -m manifests.tables"


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__name__)
def test_each_row_has_an_example(kind: type[Row]) -> None:
    module = importlib.import_module(EXAMPLES[kind.__name__])
    assert set(module.EXAMPLES) == set(kind)


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="has 0 places for the table Living"):
        page("nothing")
