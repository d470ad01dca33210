"""What a person sees of a run, on a terminal and in a log."""

import asyncio
import io

import pytest

from tidbbackup.model.contract.progress import Report
from tidbbackup.screen import Screen, bar_line, plain_line

HALF = Report("dump", 1_200_000_000, 2_400_000_000, 300_000_000, 25)
UNKNOWN = Report("dump", 1_200_000_000)


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def test_a_bar() -> None:
    assert (
        bar_line(HALF, 65)
        == "dump      [######..................]  25%  1.2 GB dumped, 300 MB uploaded, 1m5s"
    )
    assert bar_line(UNKNOWN, 5) == "dump  1.2 GB dumped, 0 B uploaded, 5s"


def test_a_line() -> None:
    assert plain_line(HALF, 65) == "dump 25%: 1.2 GB dumped, 300 MB uploaded, 1m5s"
    assert plain_line(UNKNOWN, 5) == "dump 1.2 GB: 1.2 GB dumped, 0 B uploaded, 5s"


def test_a_restore() -> None:
    loading = Report("load", percent=50, loadedBytes=1_200_000_000, loadedRows=7)
    assert plain_line(loading, 65) == "load 50%: 1.2 GB loaded, 7 rows, 1m5s"


async def followed(err: io.StringIO, seconds: float) -> Screen:
    """A screen that has followed a run for so long."""
    screen = Screen(err)
    following = asyncio.create_task(screen.follow(lambda: HALF))
    await asyncio.sleep(seconds)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    return screen


@pytest.mark.looptime
async def test_a_log_gets_a_line_now_and_then() -> None:
    err = io.StringIO()
    await followed(err, 11)
    assert err.getvalue() == "".join(f"{plain_line(HALF, seconds)}\n" for seconds in (5, 10))


@pytest.mark.looptime
async def test_on_a_terminal_lines_go_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    err = Terminal()
    screen = await followed(err, 0.6)
    drawn = err.getvalue()
    assert drawn == "\r\x1b[K" + bar_line(HALF, 0.5)[:39]
    screen.say("a word")
    screen.clear()
    assert err.getvalue() == drawn + "\r\x1b[Ka word\n"
