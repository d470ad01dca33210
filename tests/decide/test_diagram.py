"""The diagram of docs/explanation/life-of-a-backup.md is the one that whole lives in a world show."""

from tests.decide.diagram import PAGE, page, steps


def test_the_page_has_the_diagram_of_the_code() -> None:
    assert PAGE.read_text() == page(PAGE.read_text()), "run python -m tests.decide.diagram"


def test_it_shows_both_ends_and_the_way_out() -> None:
    assert {("Reported", "Complete"), ("Inspecting", "Complete"), ("Clean", "gone")} <= set(steps())
