"""The table of what a line means and where to go on."""

from __future__ import annotations

import pytest

from tests.kube.things import Thing, bookmark, decode_thing, error_line, line, thing
from tidbbackup.kube.decode import read_frame
from tidbbackup.kube.errors import (
    ApiError,
    BadAnswer,
    Forbidden,
    Gone,
    NotFound,
    ServerError,
    Silence,
    Status,
    TooManyRequests,
    TransportError,
    Unauthorized,
    VersionTooLarge,
)
from tidbbackup.kube.updates import Applied, Bookmark, Deleted, Update, advance, reason_of, resume_from

TOO_LARGE = {"causes": [{"reason": "ResourceVersionTooLarge"}]}


@pytest.mark.parametrize(
    ("text", "version", "update"),
    [
        (line("ADDED", thing("a", 11)), "11", Applied(thing("a", 11))),
        (line("MODIFIED", thing("a", 12)), "12", Applied(thing("a", 12))),
        (line("DELETED", thing("a", 13)), "13", Deleted(thing("a", 13))),
        (bookmark(14), "14", Bookmark("14")),
        (error_line(410, "Expired"), None, None),
        (error_line(410, "Gone"), None, None),
        (error_line(504, "Timeout", **TOO_LARGE), None, None),
    ],
)
def test_a_line_moves_the_version(text: bytes, version: str | None, update: Update[Thing] | None) -> None:
    assert advance("10", read_frame(text, decode_thing)) == (version, update)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (error_line(500, "InternalError"), ServerError),
        (error_line(429, "TooManyRequests"), TooManyRequests),
        (error_line(401, "Unauthorized"), Unauthorized),
        (line("SYNTHETIC", thing("a", 11)), BadAnswer),
        (line("ADDED", thing("a", "")), BadAnswer),
        (bookmark(""), BadAnswer),
    ],
)
def test_a_line_that_ends_the_watch(text: bytes, kind: type[ApiError]) -> None:
    with pytest.raises(kind):
        advance("10", read_frame(text, decode_thing))


def _error(kind: type[ApiError]) -> ApiError:
    simple = (BadAnswer, TransportError, Silence)
    return kind("x") if issubclass(kind, simple) else kind("GET /x", 0, Status())


@pytest.mark.parametrize(
    ("kind", "keeps", "reason"),
    [
        (Gone, False, "expired"),
        (VersionTooLarge, False, "version_too_large"),
        (BadAnswer, False, "bad_answer"),
        (TransportError, True, "connection"),
        (Silence, True, "silence"),
        (TooManyRequests, True, "throttled"),
        (ServerError, True, "server_error"),
        (Unauthorized, True, "unauthorized"),
        (Forbidden, True, "forbidden"),
        (NotFound, True, "server_error"),
    ],
)
def test_where_to_go_on_after_an_error(kind: type[ApiError], keeps: bool, reason: str) -> None:
    error = _error(kind)
    assert resume_from("10", error) == ("10" if keeps else None)
    assert resume_from(None, error) is None
    assert reason_of(error) == reason
