"""What S3 servers and the way to them answer when they refuse, as reasons and cures.

One table, no branches per provider. Must not know which step of a backup was under way.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    SSLError,
)

from tidbbackup.model import reasons
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.model.units import format_duration
from tidbbackup.storage.proof import NotS3


class StorageError(Exception):
    """The storage refused or could not be reached.

    `reason` is a constant of model.reasons, `code` the server's error code ("" if no server answered),
    the text says what happened and what cures it; it never holds a key. `answer_lost`: the storage may have
    done it all the same.
    """

    answer_lost = False

    def __init__(self, reason: str, message: str, code: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.code = code


_KEYS = "check `access_key` and `secret_key` in the Secret of spec.s3.secretName"
_RIGHTS = (
    "the user needs s3:PutObject, s3:GetObject, s3:DeleteObject, s3:AbortMultipartUpload and "
    "s3:ListBucketMultipartUploads on this bucket; without s3:ListBucket it is also the answer for what is "
    "not there"
)
_REGION = "set spec.s3.region and spec.s3.endpoint to where the bucket is"

_TOO_FAST = "the storage could not take the bytes as fast as they came, or lost some"
_THROTTLED = (
    *("SlowDown", "Throttling", "ThrottlingException", "RequestThrottled", "RequestThrottledException"),
    *("TooManyRequestsException", "RequestLimitExceeded", "BandwidthLimitExceeded"),
)
# Of any code: proxies and gateways say so too, each in its own words or in none.
_TOO_FAST_STATUSES = frozenset({408, 429})

# Keys of a Secret are judged before there is a client, and an identity is asked for at the start.
_NOT_RENEWED = (
    "the keys of the pod's own identity could not be renewed; look at what hands them out (STS, the agent of "
    "EKS Pod Identity, kube2iam, the node's metadata service)"
)

_BY_CODE: dict[str, tuple[str, str]] = {
    "NoSuchBucket": (reasons.BUCKET_NOT_FOUND, "create the bucket or correct spec.s3.bucket"),
    "InvalidBucketName": (reasons.STORAGE_REFUSED, "correct spec.s3.bucket"),
    "InvalidAccessKeyId": (reasons.CREDENTIALS_REFUSED, _KEYS),
    "SignatureDoesNotMatch": (reasons.CREDENTIALS_REFUSED, _KEYS),
    "InvalidClientTokenId": (reasons.CREDENTIALS_REFUSED, _KEYS),
    "InvalidToken": (reasons.CREDENTIALS_REFUSED, "the session token is not valid; renew it"),
    "ExpiredToken": (reasons.CREDENTIALS_REFUSED, "the session token has expired; renew it"),
    "ExpiredTokenException": (reasons.CREDENTIALS_REFUSED, "the session token has expired; renew it"),
    "TokenRefreshRequired": (reasons.CREDENTIALS_REFUSED, "the session token has expired; renew it"),
    "AuthorizationHeaderMalformed": (reasons.STORAGE_REFUSED, _REGION),
    "PermanentRedirect": (reasons.STORAGE_REFUSED, _REGION),
    "TemporaryRedirect": (reasons.STORAGE_REFUSED, _REGION),
    "301": (reasons.STORAGE_REFUSED, _REGION),
    "IllegalLocationConstraintException": (reasons.STORAGE_REFUSED, _REGION),
    "SecondLevelDomainForbidden": (
        reasons.STORAGE_REFUSED,
        "this service wants the bucket in the host name: leave spec.s3.forcePathStyle unset or false",
    ),
    "AccessDenied": (reasons.ACCESS_DENIED, _RIGHTS),
    "AllAccessDisabled": (reasons.ACCESS_DENIED, _RIGHTS),
    "Forbidden": (reasons.ACCESS_DENIED, _RIGHTS),
    "403": (reasons.ACCESS_DENIED, _RIGHTS),
    "400": (reasons.STORAGE_REFUSED, "is the scheme of spec.s3.endpoint right (http, https)"),
    "KMS.DisabledException": (reasons.ACCESS_DENIED, "enable the key of spec.s3.sseKmsKeyId"),
    "KMS.NotFoundException": (reasons.STORAGE_REFUSED, "correct spec.s3.sseKmsKeyId"),
    **dict.fromkeys(
        ("BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"),
        (reasons.UPLOAD_FAILED, "the bytes were changed on the way; look at proxies in front of the storage"),
    ),
    **dict.fromkeys(
        ("IncompleteBody", "RequestTimeout", "ServiceUnavailable", *_THROTTLED),
        (reasons.UPLOAD_FAILED, _TOO_FAST),
    ),
    "OperationAborted": (reasons.UPLOAD_FAILED, "another request for the same thing was under way"),
    "RequestTimeTooSkewed": (reasons.STORAGE_REFUSED, "the node's clock is wrong by more than 15 minutes"),
    "InvalidStorageClass": (
        reasons.STORAGE_REFUSED,
        "spec.s3.storageClass asks for a class that this storage does not have",
    ),
    "AccessControlListNotSupported": (
        reasons.STORAGE_REFUSED,
        "the bucket takes no ACLs: remove spec.s3.acl",
    ),
    "QuotaExceeded": (reasons.STORAGE_REFUSED, "the bucket's quota is used up"),
    "XMinioStorageFull": (reasons.STORAGE_REFUSED, "the storage is full"),
    "NotImplemented": (reasons.STORAGE_REFUSED, "the storage does not know a header or call we need"),
}


_PASSING = frozenset({reasons.STORAGE_UNREACHABLE, reasons.UPLOAD_FAILED, reasons.CREDENTIALS_MISSING})


def code_of(error: BaseException) -> str:
    """The server's error code, "" if no server answered."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    if isinstance(error, StorageError):
        return error.code
    return ""


def explain(error: Exception, doing: str, target: ObjectTarget) -> StorageError:
    """Turn what the client raised into reason, what was being done, the server's words, and a cure."""
    if isinstance(error, StorageError):
        return error
    where = f"{doing} {target.url}"
    if target.endpoint:
        where += f" at {target.endpoint}"
    if isinstance(error, ClientError):
        return _refused(error, where, target)
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError):
        return StorageError(reasons.CREDENTIALS_MISSING, f"{where}: {_NOT_RENEWED}: {_short(error)}")
    if isinstance(error, SSLError):
        return StorageError(
            reasons.STORAGE_UNREACHABLE,
            f"{where}: {_short(error)}; is the endpoint's scheme right, is its certificate signed by "
            "the ca.crt of spec.s3.caSecretName",
        )
    if isinstance(error, NotS3):
        return StorageError(
            reasons.STORAGE_UNREACHABLE,
            f"{where}: {error}; another server stands there (an Ingress without a backend, a proxy, a login "
            "page): look at spec.s3.endpoint and at what is in front of the storage",
        )
    if isinstance(error, ParamValidationError | ValueError):
        return StorageError(reasons.STORAGE_REFUSED, f"{where}: {_short(error)}")
    return StorageError(
        reasons.STORAGE_UNREACHABLE,
        f"{where}: {_short(error)}; check spec.s3.endpoint, DNS and network policies",
    )


def explain_identity(error: Exception) -> StorageError:
    """Why the pod's own identity gave no credentials."""
    if isinstance(error, ClientError):
        return _identity_refused(error)
    return StorageError(
        reasons.CREDENTIALS_MISSING,
        f"the pod's own identity gave no credentials: {_short(error)}; check spec.serviceAccount and its "
        "role, or set spec.s3.secretName",
    )


def _identity_refused(error: ClientError) -> StorageError:
    code = code_of(error)
    said = f"{code}: {error.response.get('Error', {}).get('Message', '')}"
    status = _status(error)
    if status >= 500 or status in _TOO_FAST_STATUSES or code in {*_THROTTLED, "IDPCommunicationError"}:
        return StorageError(reasons.CREDENTIALS_MISSING, f"{_NOT_RENEWED}: {said}", code)
    return StorageError(
        reasons.CREDENTIALS_REFUSED,
        f"STS gives this pod no credentials ({error.operation_name}): {said}; check that the role of "
        "the service account (spec.serviceAccount, eks.amazonaws.com/role-arn) trusts it",
        code,
    )


def worth_retrying(error: StorageError) -> bool:
    """Whether the same request may succeed a little later.

    Once an upload is open, keys that are missing are those of a renewal, and the old ones good for minutes.
    """
    return error.reason in _PASSING


def _refused(error: ClientError, where: str, target: ObjectTarget) -> StorageError:
    code = code_of(error)
    text = str(error.response.get("Error", {}).get("Message", ""))
    status = _status(error)
    if error.operation_name.startswith("AssumeRole"):
        return _identity_refused(error)
    if status in _TOO_FAST_STATUSES:
        reason, cure = reasons.UPLOAD_FAILED, _TOO_FAST
    elif code in _BY_CODE:
        reason, cure = _BY_CODE[code]
    elif status >= 500:
        reason, cure = reasons.UPLOAD_FAILED, "the storage failed, not the request; look at its own log"
    else:
        reason, cure = reasons.STORAGE_REFUSED, _doubtful(target)
    said = f"{code}: {text}" if text and text != code else code
    said += skew(error.response.get("Error", {})) if code == "RequestTimeTooSkewed" else ""
    return StorageError(reason, f"{where}: {said} (HTTP {status})" + (f"; {cure}" if cure else ""), code)


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def skew(answer: Mapping[str, str]) -> str:
    """How wrong the clock is, by what a server said of both clocks; "" where it did not."""
    try:
        ours = datetime.strptime(answer["RequestTime"], "%Y%m%dT%H%M%S%z")
        theirs = datetime.fromisoformat(answer["ServerTime"])
        apart = ours - theirs
    except (KeyError, ValueError, TypeError):
        return ""
    return f" (ours is {format_duration(abs(apart))} {'ahead' if apart > timedelta(0) else 'behind'})"


def _doubtful(target: ObjectTarget) -> str:
    """What the spec asks for that not every storage has: a refusal without a message may mean any of it.

    Ceph answers InvalidArgument to a class that it does not have, InvalidRequest to encryption without a key.
    """
    wishes = {
        "storageClass": target.storageClass,
        "sse": target.sse,
        "sseKmsKeyId": target.sseKmsKeyId,
        "acl": target.acl,
        "tags": ", ".join(f"{name}={value}" for name, value in target.tags.items()),
    }
    asked = " and ".join(f"spec.s3.{name} {value}" for name, value in wishes.items() if value)
    return f"does this storage take {asked}" if asked else ""


def _short(error: Exception) -> str:
    """One line of an exception's text, without what aiohttp and botocore wrap around it."""
    return " ".join(str(error).split())[:300] or type(error).__name__
