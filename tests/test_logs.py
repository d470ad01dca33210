"""Log lines."""

from __future__ import annotations

import io
import logging
import sys
import typing
from collections.abc import Iterator

import msgspec
import pytest

from tidbbackup.logs import Format, PlainLines, set_up_logging


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It does."""
        return True


@pytest.fixture(autouse=True)
def _root_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_lines() -> None:
    out = io.StringIO()
    set_up_logging("info", "auto", out)
    logging.getLogger("a.b").info("one %s", 'two "quoted"\nline')
    logging.getLogger("a.b").debug("unseen")
    lines = out.getvalue().splitlines()
    assert len(lines) == 1
    found = msgspec.json.decode(lines[0])
    assert found.pop("ts").endswith("Z")
    assert found == {"level": "info", "logger": "a.b", "message": 'one two "quoted"\nline'}


def test_a_traceback_stays_on_its_line() -> None:
    out = io.StringIO()
    set_up_logging("info", "json", out)
    try:
        raise KeyError("bug")
    except KeyError:
        logging.getLogger("a").exception("failed")
    found = msgspec.json.decode(out.getvalue())
    assert found["level"] == "error"
    assert "KeyError: 'bug'" in found["error"]


def test_people_get_short_lines_on_a_terminal() -> None:
    out = Terminal()
    set_up_logging("info", "auto", out)
    logging.getLogger("a").info("hello")
    logging.getLogger("a").warning("careful")
    first, second = out.getvalue().splitlines()
    assert first[8:] == " hello"
    assert second[8:] == " warning: careful"


FORGED = "no such table\n12:00:00 error: all is lost\r\x1b[2K\x9b1A\u2028\u202e é 備份"
SHOWN = "no such table\\n12:00:00 error: all is lost\\r\\x1b[2K\\x9b1A\\u2028\\u202e é 備份"


@pytest.mark.parametrize("form", ["human", "json", "worker"])
@pytest.mark.parametrize("with_error", [False, True])
def test_words_of_others_cannot_pass_for_lines_of_ours(form: Format | str, with_error: bool) -> None:
    out = io.StringIO()
    if form == "worker":
        handler = logging.StreamHandler(out)
        handler.setFormatter(PlainLines())
        logging.getLogger().handlers[:] = [handler]
    else:
        set_up_logging("info", typing.cast("Format", form), out)
    try:
        raise ValueError(FORGED)
    except ValueError as error:
        logging.getLogger("a").warning("%s", FORGED, exc_info=error if with_error else None)
    first, *others = out.getvalue().rstrip("\n").split("\n")
    if form == "json":
        assert msgspec.json.decode(first)["message"] == FORGED
        assert others == []
        return
    assert first.endswith(f"a: {SHOWN}" if form == "worker" else f" warning: {SHOWN}")
    assert bool(others) == with_error
    assert all(line.startswith("    ") and line.isprintable() for line in others)


def test_a_level_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="--log-level loud: not one of debug, info, warning, error"):
        set_up_logging("loud", "json", sys.stderr)


def test_libraries_stay_quiet_at_debug() -> None:
    out = io.StringIO()
    set_up_logging("debug", "json", out)
    logging.getLogger("kubernetes_asyncio.client.rest").debug("response body: secret")
    logging.getLogger("botocore.auth").debug("secret")
    logging.getLogger("tidbbackup").debug("ours")
    assert "secret" not in out.getvalue()
    assert "ours" in out.getvalue()
