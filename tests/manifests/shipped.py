"""The shipped manifests as objects, read from the files that a user applies."""

from pathlib import Path
from typing import Any

import yaml

JSON = dict[str, Any]

FOLDER = Path(__file__).parents[2] / "manifests"


def documents(name: str) -> list[JSON]:
    """Every object in one file below manifests/."""
    return [found for found in yaml.safe_load_all((FOLDER / name).read_text()) if found]


def the(kind: str, name: str = "install.yaml") -> JSON:
    """The only object of that kind in a file; raises ValueError where there is none, or more."""
    (found,) = [document for document in documents(name) if document["kind"] == kind]
    return found


def matches(selector: JSON, labels: dict[str, str]) -> bool:
    """Whether a `matchLabels` selector takes an object with these labels."""
    wanted: dict[str, str] = selector["matchLabels"]
    return all(labels.get(name) == value for name, value in wanted.items())
