"""Compares resourceVersions, which KEP-5504 made legal: decimal strings, by length, then by digits.

Must not know their source.
"""

from __future__ import annotations


def age_order(version: str) -> tuple[int, str]:
    """Sorts resourceVersions, the oldest first; "" is older than all."""
    return len(version), version


def at_least(version: str, wanted: str) -> bool:
    """Whether `version` is as new as `wanted`, both of one resource.

    An empty `version` (nothing seen yet) is older than all; an empty `wanted` asks for nothing.
    """
    return age_order(version) >= age_order(wanted)


def newer_of(one: str, other: str) -> str:
    """The newer of two resourceVersions of one resource."""
    return one if at_least(one, other) else other
