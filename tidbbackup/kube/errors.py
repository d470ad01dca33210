"""What can go wrong between us and the API server, told apart by what helps.

    KubeError
    ├─ ConfigError             how to reach the server is not known, or not readable
    └─ ApiError
       ├─ BadAnswer            a success that makes no sense (a proxy's page, half a list)
       │  └─ TooLong           more bytes than we take in at once
       ├─ TransportError       no answer: refused, reset, timed out, TLS
       │  └─ Silence           a stream on which nothing came for too long
       └─ StatusError          an answer that is not 2xx
          ├─ BadRequest 400   Unauthorized 401   Forbidden 403   NotFound 404
          ├─ Conflict 409 ── AlreadyExists
          ├─ Gone 410   Invalid 422   TooManyRequests 429
          └─ ServerError 5xx ── VersionTooLarge

Must not know what was asked for beyond its method and path; messages carry no bodies.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

MESSAGE_LIMIT = 400
"""Characters of a server's message that are kept: enough to name a field, not a whole object."""


class KubeError(Exception):
    """Anything between us and the API server; str() is short and made for people."""


class ConfigError(KubeError):
    """How to reach the API server is not known; the message names what was looked at."""


class ApiError(KubeError):
    """A request that failed. `retry_after` is the server's own wish, in seconds."""

    retry_after: float | None = None


class BadAnswer(ApiError):
    """A success whose body makes no sense: never taken for an empty list."""


class TooLong(BadAnswer):
    """A success whose body is longer than we take in at once; a list can be asked for in smaller pages."""


class TransportError(ApiError):
    """No whole answer: refused, reset, timed out, TLS. A write may have been done all the same."""


class Silence(TransportError):
    """Nothing came for too long on a stream that should speak: the path may be dead."""


class StatusError(ApiError):
    """An answer other than 2xx. `status` is the HTTP code."""

    def __init__(self, request: str, status: int, body: Status, retry_after: float | None = None) -> None:
        message = " ".join(body.message.split())[:MESSAGE_LIMIT] or body.reason or "no message"
        super().__init__(f"{request}: {status} {message}" if request else f"{status} {message}")
        self.status = status
        self.cause_reasons = frozenset(cause.reason for cause in body.details.causes)
        self.message = message
        self.retry_after = retry_after


class BadRequest(StatusError):
    """400: we asked wrongly."""


class Unauthorized(StatusError):
    """401: the token is unknown or has expired."""


class Forbidden(StatusError):
    """403: RBAC, admission, a quota, or a namespace that is going away."""

    @property
    def namespace_terminating(self) -> bool:
        """Nothing can be created there any more, whatever our rights."""
        return "NamespaceTerminating" in self.cause_reasons

    @property
    def quota_exceeded(self) -> bool:
        """A ResourceQuota said no; the API has no other mark for it than its text."""
        return "exceeded quota" in self.message


class NotFound(StatusError):
    """404: no such object, or no such resource at all."""


class Conflict(StatusError):
    """409: the object has changed since it was read, or a precondition does not hold."""


class AlreadyExists(Conflict):
    """409 on a create: the name is taken."""


class Gone(StatusError):
    """410: the resourceVersion or the continue token is too old; only a new list helps."""


class Invalid(StatusError):
    """422: the object breaks its schema; the message names the fields."""


class TooManyRequests(StatusError):
    """429: later, please."""


class ServerError(StatusError):
    """5xx."""


class VersionTooLarge(ServerError):
    """504: the server has not got to that resourceVersion, as after a restored etcd."""


class Cause(msgspec.Struct):
    """One of `details.causes` in a Status."""

    reason: str = ""


class Details(msgspec.Struct):
    """The `details` of a Status that we use."""

    causes: list[Cause] = []
    retryAfterSeconds: float = 0


class Status(msgspec.Struct):
    """The API's `Status` object, as answers and ERROR frames carry it."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: Details = msgspec.field(default_factory=Details)


_BY_STATUS: Mapping[int, type[StatusError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}
_STATUS = msgspec.json.Decoder(Status)


def read_status(body: bytes | msgspec.Raw) -> Status:
    """The Status in `body`; a body that is none (a proxy's page) gives one that says so."""
    try:
        return _STATUS.decode(body)
    except msgspec.DecodeError:
        return Status(message="the answer is not from a Kubernetes API server")


def status_error(request: str, code: int, status: Status, retry_after: float | None = None) -> StatusError:
    """The error for one answer; `request` is like `GET /api/v1/pods`."""
    kind = _BY_STATUS.get(code, ServerError if code >= 500 else StatusError)
    if status.reason == "AlreadyExists":
        kind = AlreadyExists
    elif status.reason in ("Expired", "Gone"):
        kind = Gone
    elif any(cause.reason == "ResourceVersionTooLarge" for cause in status.details.causes):
        kind = VersionTooLarge
    if retry_after is None and status.details.retryAfterSeconds > 0:
        retry_after = status.details.retryAfterSeconds
    return kind(request, code, status, retry_after)


def retry_after_seconds(header: str | None) -> float | None:
    """A `Retry-After` in seconds, or None; its date form is never sent by an API server."""
    try:
        seconds = float(header) if header else -1.0
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
