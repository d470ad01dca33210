"""Which error stands for which answer."""

from __future__ import annotations

import msgspec
import pytest

from tests.kube.things import status
from tidbbackup.kube.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    ServerError,
    StatusError,
    TooManyRequests,
    Unauthorized,
    VersionTooLarge,
    read_status,
    retry_after_seconds,
    status_error,
)


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", BadRequest),
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "Conflict", Conflict),
        (409, "AlreadyExists", AlreadyExists),
        (410, "Expired", Gone),
        (410, "Gone", Gone),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", TooManyRequests),
        (500, "InternalError", ServerError),
        (503, "ServiceUnavailable", ServerError),
        (504, "Timeout", ServerError),
        (302, "", StatusError),
    ],
)
def test_each_status_has_its_error(code: int, reason: str, kind: type[StatusError]) -> None:
    error = status_error("GET /x", code, read_status(msgspec.json.encode(status(code, reason))))
    assert type(error) is kind
    assert error.status == code
    assert str(error) == f"GET /x: {code} because"


def test_an_old_version_is_known_by_its_reason_in_a_stream_too() -> None:
    assert isinstance(status_error("watch", 0, read_status(b'{"reason": "Expired"}')), Gone)


def test_a_version_from_the_future_is_told_from_other_timeouts() -> None:
    body = status(504, "Timeout", causes=[{"reason": "ResourceVersionTooLarge", "message": "too large"}])
    assert isinstance(status_error("GET /x", 504, read_status(msgspec.json.encode(body))), VersionTooLarge)


def test_forbidden_knows_a_namespace_that_is_going_away_and_a_quota() -> None:
    body = status(
        403, "Forbidden", causes=[{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]
    )
    going = status_error("POST /x", 403, read_status(msgspec.json.encode(body)))
    quota = status_error(
        "POST /x", 403, read_status(b'{"message": "pods \\"a\\" is forbidden: exceeded quota: q"}')
    )
    assert isinstance(going, Forbidden)
    assert isinstance(quota, Forbidden)
    assert (going.namespace_terminating, going.quota_exceeded) == (True, False)
    assert (quota.namespace_terminating, quota.quota_exceeded) == (False, True)


def test_a_page_of_a_proxy_is_never_quoted() -> None:
    error = status_error("GET /x", 502, read_status(b"<html><h1>Bad gateway</h1></html>"))
    assert str(error) == "GET /x: 502 the answer is not from a Kubernetes API server"


def test_messages_are_short_and_on_one_line() -> None:
    long = msgspec.json.encode(status(422, "Invalid", "one\n two " + "x" * 10_000))
    message = str(status_error("POST /x", 422, read_status(long)))
    assert message.startswith("POST /x: 422 one two xxx")
    assert len(message) < 450


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("5", 5.0),
        ("0", 0.0),
        (None, None),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header) == seconds


def test_the_wish_to_wait_comes_from_the_header_or_the_body() -> None:
    body = read_status(msgspec.json.encode(status(429, "TooManyRequests", retryAfterSeconds=7)))
    assert status_error("GET /x", 429, body).retry_after == 7
    assert status_error("GET /x", 429, body, retry_after=2).retry_after == 2
