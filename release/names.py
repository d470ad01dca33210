"""The image of a release by its digest."""

from __future__ import annotations

import re

from attrs import frozen


@frozen
class ImageName:
    """An image in a registry, which no later push can change."""

    repository: str
    digest: str

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}"


def read_image(text: str) -> ImageName:
    """The parts of `registry.example.com/tidbbackup@sha256:…`. Raises ValueError."""
    found = re.fullmatch(r"([^@\s]+)@(sha256:[0-9a-f]{64})", text)
    if not found:
        raise ValueError(f"{text!r} is no image by its digest: NAME@sha256:<64 hex digits>")
    return ImageName(found[1], found[2])
