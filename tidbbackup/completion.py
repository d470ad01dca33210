"""What lets a shell complete our command line, written by shtab from the parser. Must not know any verb."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TextIO

SHELLS = ("bash", "zsh", "fish")


def completion(parser: argparse.ArgumentParser, shell: str, stdout: TextIO, stderr: TextIO) -> int:
    """Print the script for a shell; 1 and the cure where shtab is not installed."""
    try:
        import shtab
    except ImportError:
        print("completion needs the package shtab: pip install 'tidbbackup[completion]'", file=stderr)
        return 1
    # Under the plugin's name too: shells complete the first word only, which is kubectl then.
    parser.prog = "tidbbackup"
    for action in _actions(parser):
        if action.metavar in ("FILE", "DIR"):
            action.complete = getattr(shtab, action.metavar)  # type: ignore[attr-defined]  # shtab reads it
    print(shtab.complete(parser, shell), file=stdout)
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # argparse has no public way to list them
        yield action
        if isinstance(action.choices, dict):
            for verb in action.choices.values():
                yield from _actions(verb)
