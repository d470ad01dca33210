"""The commands of README as its readers paste them. Pure."""

import re

from tests.cluster.lab import ROOT

README = ROOT / "README.md"


def commands(heading: str, text: str) -> list[str]:
    """The indented blocks of a section, in their order."""
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [block.strip() for block in re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)]


def install() -> str:
    """What installs the product."""
    return commands("In a cluster", README.read_text())[0]


def first_backup() -> str:
    """What makes the first backup, once the files it names are filled in."""
    return commands("In a cluster", README.read_text())[1]


def image_in(command: str) -> str:
    """The name that `sed s|...|NAME|` in a command gives the image."""
    found = re.search(r"s\|[^|]+\|([^|]+)\|", command)
    if not found:
        raise ValueError(f"no image is named in: {command}")
    return found[1]
