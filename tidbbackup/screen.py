"""The display of a run: a progress bar on a terminal, otherwise a line every few seconds.

Must not know what runs.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from datetime import timedelta
from typing import TextIO

from tidbbackup.model.contract.progress import Report
from tidbbackup.model.units import format_duration, format_size

_BAR = 24
_TERMINAL_SECONDS = 0.5
_PLAIN_SECONDS = 5.0
_CLEAR = "\r\x1b[K"


class Screen:
    """Standard error: lines, and below them the bar, if it is a terminal."""

    def __init__(self, err: TextIO) -> None:
        self._err = err
        self._terminal = err.isatty()
        self._drawn = False

    def say(self, text: str) -> None:
        """One line."""
        self.write(f"{text}\n")

    def write(self, text: str) -> int:
        """Whole lines, also those of a logging handler."""
        self.clear()
        return self._err.write(text)

    def flush(self) -> None:
        """See TextIO."""
        self._err.flush()

    def isatty(self) -> bool:
        """See TextIO."""
        return self._terminal

    def clear(self) -> None:
        """Remove the bar."""
        if self._drawn:
            self._err.write(_CLEAR)
            self._drawn = False
        self._err.flush()

    async def follow(self, report: Callable[[], Report]) -> None:
        """Show the progress until cancelled."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            await asyncio.sleep(_TERMINAL_SECONDS if self._terminal else _PLAIN_SECONDS)
            self._show(report(), loop.time() - began)

    def _show(self, report: Report, seconds: float) -> None:
        if not self._terminal:
            self.say(plain_line(report, seconds))
            return
        columns = shutil.get_terminal_size().columns
        self._err.write(_CLEAR + bar_line(report, seconds)[: columns - 1])
        self._err.flush()
        self._drawn = True


def plain_line(report: Report, seconds: float) -> str:
    """For a log: `dump 43%: 1.2 GB dumped, 300 MB uploaded, 1m5s`."""
    return f"{report.text}: {_counts(report, seconds)}"


def bar_line(report: Report, seconds: float) -> str:
    """For a terminal: `dump [##########..............]  43%  1.2 GB dumped, 300 MB uploaded, 1m5s`."""
    if report.percent is None:
        return f"{report.step}  {_counts(report, seconds)}"
    done = report.percent * _BAR // 100
    bar = "#" * done + "." * (_BAR - done)
    return f"{report.step:<9} [{bar}] {report.percent:3}%  {_counts(report, seconds)}"


def _counts(report: Report, seconds: float) -> str:
    if report.loadedBytes:
        loaded = f"{format_size(report.loadedBytes)} loaded, {report.loadedRows} rows"
        return f"{loaded}, {format_duration(timedelta(seconds=seconds))}"
    dumped, uploaded = format_size(report.dumpedBytes), format_size(report.uploadedBytes)
    return f"{dumped} dumped, {uploaded} uploaded, {format_duration(timedelta(seconds=seconds))}"
