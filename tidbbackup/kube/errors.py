"""Errors between us and the API server, distinguished by their cure.

    KubeError
    ├─ ConfigError             the configuration is missing, or not readable
    └─ ApiError
       ├─ BadAnswer            a 2xx answer without a valid body (a proxy's page, half a list)
       │  └─ TooLong           more bytes than the limit of an answer
       ├─ NotLeader            not sent: this process may not write
       ├─ TransportError       no answer: refused, reset, timed out, TLS
       │  └─ Silence           a stream without a byte for too long
       └─ StatusError          an answer that is not 2xx
          ├─ BadRequest 400   Unauthorized 401   Forbidden 403   NotFound 404
          ├─ Conflict 409 ── AlreadyExists
          ├─ Gone 410   Invalid 422   TooManyRequests 429
          └─ ServerError 5xx ── VersionTooLarge

Must not know more of a request than its method and path; messages have no bodies.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

MESSAGE_LIMIT = 400
"""Characters of a server's message that are kept: enough to name a field, not a whole object."""


class KubeError(Exception):
    """Any error between us and the API server; str() is short and for people."""


class ConfigError(KubeError):
    """The configuration of the API server was not found; the message names the places that were tried."""


class ApiError(KubeError):
    """A request that failed. `retry_after` is the server's header, in seconds."""

    retry_after: float | None = None


class BadAnswer(ApiError):
    """A 2xx answer without a valid body: never taken for an empty list."""


class TooLong(BadAnswer):
    """A 2xx answer whose body is longer than the limit; a list can be requested in smaller pages."""


class NotLeader(ApiError):
    """The request was not sent: this process may not write (any more)."""


class TransportError(ApiError):
    """No whole answer: refused, reset, timed out, TLS. A write may have been carried out."""


class Silence(TransportError):
    """No byte came for too long on a stream: the connection may be dead."""


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
    """400: the request is wrong."""


class Unauthorized(StatusError):
    """401: the token is unknown or has expired."""


class Forbidden(StatusError):
    """403: RBAC, admission, a quota, or a namespace that is terminating."""

    @property
    def namespace_terminating(self) -> bool:
        """The namespace is terminating: nothing can be created there, whatever our rights."""
        return "NamespaceTerminating" in self.cause_reasons

    @property
    def quota_exceeded(self) -> bool:
        """A ResourceQuota refuses the object; only the text of the answer shows it."""
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
    """429: too many requests."""


class ServerError(StatusError):
    """5xx."""


class VersionTooLarge(ServerError):
    """504: the server has not reached that resourceVersion, for example after a restore of etcd."""


class Cause(msgspec.Struct):
    """One of `details.causes` in a Status."""

    reason: str = ""


class Details(msgspec.Struct):
    """The fields of a Status's `details` that we use."""

    causes: list[Cause] = []
    retryAfterSeconds: float = 0


class Status(msgspec.Struct):
    """The API's `Status` object, in answers and ERROR frames."""

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
    """The Status in `body`; for a body that is none (a proxy's page), a Status with that message."""
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
