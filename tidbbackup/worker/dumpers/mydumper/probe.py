"""What the mydumper at hand says of itself: its version, and which options it knows.

Must not know what it is to dump.
"""

from __future__ import annotations

import asyncio
import re

from attrs import frozen

from tidbbackup.worker.dumpers.process import end, find

_SECONDS = 10
# `  -r, --rows                  Try to split tables`
_OPTION = re.compile(r"^\s+(?:-[^\s,]+,\s+)?--([a-z][a-z0-9-]*)", re.MULTILINE)


@frozen
class Program:
    """One mydumper."""

    version: str
    """The line that it gives for --version."""
    options: frozenset[str]
    """Names without dashes; empty where it would not say."""

    @property
    def later(self) -> bool:
        """Whether it is of a version after 0.10: other file names, log lines, and meanings of options."""
        found = re.search(r"\bv?(\d+)\.(\d+)", self.version)
        return found is not None and (int(found[1]), int(found[2])) > (0, 10)


async def probe(search_path: str) -> Program:
    """Ask it.

    Raises:
        StepFailed: DumpFailed, it is not there.
    """
    path = str(find("mydumper", search_path))
    version = (await _says(path, "--version", search_path)).partition("\n")[0].strip()
    return Program(version or "mydumper", known_options(await _says(path, "--help", search_path)))


def known_options(text: str) -> frozenset[str]:
    """The options in what it says to --help."""
    return frozenset(_OPTION.findall(text))


async def _says(path: str, option: str, search_path: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(path, option),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": search_path},
    )
    try:
        async with asyncio.timeout(_SECONDS):
            out, _ = await process.communicate()
    except TimeoutError:
        return ""
    finally:
        await end(process)
    return out.decode("utf-8", "replace")
