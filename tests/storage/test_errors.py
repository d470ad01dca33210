"""What servers answer, as reasons."""

import attrs
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)

from tidbbackup.model import reasons
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage.errors import code_of, explain, skew, worth_retrying

TARGET = ObjectTarget("ceph", "bucket", "k.tgz", endpoint="http://s3.example.com")


def refused(code: str, status: int = 400, message: str = "what the server says") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "UploadPart",
    )


@pytest.mark.parametrize(
    ("code", "status", "reason", "again"),
    [
        ("NoSuchBucket", 404, reasons.BUCKET_NOT_FOUND, False),
        ("InvalidAccessKeyId", 403, reasons.CREDENTIALS_REFUSED, False),
        ("SignatureDoesNotMatch", 403, reasons.CREDENTIALS_REFUSED, False),
        ("ExpiredToken", 400, reasons.CREDENTIALS_REFUSED, False),
        ("AccessDenied", 403, reasons.ACCESS_DENIED, False),
        ("403", 403, reasons.ACCESS_DENIED, False),
        ("RequestTimeTooSkewed", 403, reasons.STORAGE_REFUSED, False),
        ("InvalidStorageClass", 400, reasons.STORAGE_REFUSED, False),
        ("AccessControlListNotSupported", 400, reasons.STORAGE_REFUSED, False),
        ("PermanentRedirect", 301, reasons.STORAGE_REFUSED, False),
        ("SlowDown", 503, reasons.UPLOAD_FAILED, True),
        ("InternalError", 500, reasons.UPLOAD_FAILED, True),
        ("BadDigest", 400, reasons.UPLOAD_FAILED, True),
        ("XAmzContentSHA256Mismatch", 400, reasons.UPLOAD_FAILED, True),
        ("RequestTimeout", 400, reasons.UPLOAD_FAILED, True),
        ("408", 408, reasons.UPLOAD_FAILED, True),
        ("429", 429, reasons.UPLOAD_FAILED, True),
        ("TooManyRequests", 429, reasons.UPLOAD_FAILED, True),
        ("AccessDenied", 429, reasons.UPLOAD_FAILED, True),
        ("ThrottlingException", 400, reasons.UPLOAD_FAILED, True),
        ("RequestThrottled", 400, reasons.UPLOAD_FAILED, True),
        ("RequestLimitExceeded", 400, reasons.UPLOAD_FAILED, True),
        ("OperationAborted", 409, reasons.UPLOAD_FAILED, True),
        ("BucketAlreadyExists", 409, reasons.STORAGE_REFUSED, False),
        ("SomethingNew", 400, reasons.STORAGE_REFUSED, False),
    ],
)
def test_refusals(code: str, status: int, reason: str, again: bool) -> None:
    error = explain(refused(code, status), "uploading part 1 of", TARGET)
    assert (error.reason, error.code) == (reason, code)
    assert worth_retrying(error) is again
    assert "uploading part 1 of s3://bucket/k.tgz at http://s3.example.com: " in str(error)
    assert f"{code}: what the server says (HTTP {status})" in str(error)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (EndpointConnectionError(endpoint_url="http://s3.example.com"), reasons.STORAGE_UNREACHABLE),
        (ConnectTimeoutError(endpoint_url="http://s3.example.com"), reasons.STORAGE_UNREACHABLE),
        (ReadTimeoutError(endpoint_url="http://s3.example.com"), reasons.STORAGE_UNREACHABLE),
        (SSLError(endpoint_url="http://s3.example.com", error="bad"), reasons.STORAGE_UNREACHABLE),
        (OSError("reset"), reasons.STORAGE_UNREACHABLE),
        (BotoCoreError(), reasons.STORAGE_UNREACHABLE),
        (NoCredentialsError(), reasons.CREDENTIALS_MISSING),
        (ValueError("Invalid endpoint: x"), reasons.STORAGE_REFUSED),
    ],
)
def test_what_never_reached_a_server(error: Exception, reason: str) -> None:
    assert explain(error, "looking at", TARGET).reason == reason
    assert code_of(error) == ""


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (("20261125T190000Z", "2026-11-25T16:00:00Z"), " (ours is 3h0m0s ahead)"),
        (("20261125T190000Z", "2026-11-25T19:20:05Z"), " (ours is 20m5s behind)"),
        (("yesterday", "2026-11-25T16:00:00Z"), ""),
        (("20261125T190000Z", "2026-11-25"), ""),
    ],
)
def test_a_wrong_clock_is_told_with_the_difference(times: tuple[str, str], told: str) -> None:
    answer = {"RequestTime": times[0], "ServerTime": times[1]}
    assert skew(answer) == told
    error = ClientError(
        {
            "Error": {"Code": "RequestTimeTooSkewed", "Message": "no", **answer},
            "ResponseMetadata": {"HTTPStatusCode": 403},
        },
        "UploadPart",
    )
    assert f"RequestTimeTooSkewed: no{told} (HTTP 403); the node's clock" in str(explain(error, "x", TARGET))


def test_a_refusal_of_sts_is_none_of_the_bucket() -> None:
    error = ClientError(
        {
            "Error": {"Code": "AccessDenied", "Message": "no"},
            "ResponseMetadata": {"HTTPStatusCode": 403},
        },
        "AssumeRoleWithWebIdentity",
    )
    told = explain(error, "uploading part 7 of", TARGET)
    assert told.reason == reasons.CREDENTIALS_REFUSED
    assert "trusts it" in str(told)
    assert "s3:PutObject" not in str(told)


@pytest.mark.parametrize(
    ("code", "status"),
    [("InternalFailure", 500), ("Throttling", 400), ("X", 429), ("IDPCommunicationError", 400)],
)
def test_an_sts_in_trouble_is_one_of_the_ways_to_the_keys_and_passes(code: str, status: int) -> None:
    error = ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "AssumeRoleWithWebIdentity",
    )
    told = explain(error, "uploading part 7 of", TARGET)
    assert told.reason == reasons.CREDENTIALS_MISSING
    assert worth_retrying(told)
    assert "could not be renewed; look at what hands them out (STS, " in str(told)


def test_an_explained_error_stays_as_it_is() -> None:
    error = explain(refused("NoSuchUpload", 404), "x", TARGET)
    assert explain(error, "y", TARGET) is error
    assert code_of(error) == "NoSuchUpload"


def test_a_refusal_without_a_word_names_what_not_every_storage_takes() -> None:
    """Ceph's whole answer to a class that it does not have."""
    asked = attrs.evolve(TARGET, storageClass="C", sse="AES256")
    text = str(explain(refused("InvalidArgument", message=""), "starting the upload of", asked))
    assert text.endswith(
        ": InvalidArgument (HTTP 400); does this storage take spec.s3.storageClass C and spec.s3.sse AES256"
    )
    assert str(explain(refused("InvalidArgument"), "looking at", TARGET)).endswith("(HTTP 400)")
