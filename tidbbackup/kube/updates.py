"""What the lines of a watch mean, and where to continue when one ends: rules without I/O.

The state of a watch is a resourceVersion, or None for "must list".
Must not know how lines come, nor what is done with updates.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from attrs import frozen

from tidbbackup.kube.decode import Frame, HasMeta, Malformed
from tidbbackup.kube.errors import (
    ApiError,
    BadAnswer,
    Forbidden,
    Gone,
    Silence,
    Status,
    TooManyRequests,
    TransportError,
    Unauthorized,
    VersionTooLarge,
    status_error,
)

T = TypeVar("T", bound=HasMeta)


@frozen
class Relisted(Generic[T]):
    """All objects, at one version."""

    objects: tuple[T | Malformed, ...]
    version: str


@frozen
class Applied(Generic[T]):
    """An object is new or has changed."""

    object: T | Malformed


@frozen
class Deleted(Generic[T]):
    """An object was deleted; this was its last state."""

    object: T | Malformed


@frozen
class Bookmark:
    """Nothing happened up to this version."""

    version: str


Update = Relisted[T] | Applied[T] | Deleted[T] | Bookmark


def advance(version: str, frame: Frame[T]) -> tuple[str | None, Update[T] | None]:
    """The version to resume from after `frame`, and what it means.

    Raises ApiError for an ERROR frame that a new list would not help, BadAnswer for a frame that
    the API does not have.
    """
    match frame:
        case Frame(type="ERROR", status=Status() as status):
            error = status_error("watch", status.code, status)
            if resume_from(version, error) is None:
                return None, None
            raise error
        case Frame(version=""):
            raise BadAnswer(f"a {frame.type} without a resourceVersion")
        case Frame(type="BOOKMARK"):
            return frame.version, Bookmark(frame.version)
        case Frame(type="ADDED" | "MODIFIED", object=found) if found is not None:
            return frame.version, Applied(found)
        case Frame(type="DELETED", object=found) if found is not None:
            return frame.version, Deleted(found)
    raise BadAnswer(f"unknown watch event {frame.type!r}")


def resume_from(version: str | None, error: ApiError) -> str | None:
    """Where to continue after `error`: the same version, or None for a new list.

    429, 5xx and a lost connection keep the version: new lists of all clients would add load to a server
    that is failing. A line that cannot be read may hide a change, so only a list helps.
    """
    return None if isinstance(error, Gone | VersionTooLarge | BadAnswer) else version


_REASONS: tuple[tuple[type[ApiError], str], ...] = (
    (Gone, "expired"),
    (VersionTooLarge, "version_too_large"),
    (BadAnswer, "bad_answer"),
    (Silence, "silence"),
    (TransportError, "connection"),
    (Unauthorized, "unauthorized"),
    (Forbidden, "forbidden"),
    (TooManyRequests, "throttled"),
    (ApiError, "server_error"),
)


def reason_of(error: ApiError) -> str:
    """The word for `error` in metrics."""
    return next(word for kind, word in _REASONS if isinstance(error, kind))
