"""What an answer proves: S3's own yes and no, and the words of others that prove nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tidbbackup.storage.proof import NotS3, check_answer, check_redirect, is_absent

GET, PUT, HEAD, DELETE, OPEN, LIST = (
    "GetObject",
    "PutObject",
    "HeadObject",
    "DeleteObject",
    "CreateMultipartUpload",
    "ListMultipartUploads",
)
HTML = {"content-type": "text/html"}


def refusal(code: str) -> dict[str, Any]:
    """A refusal as botocore has parsed it."""
    return {"Error": {"Code": code}}


def answer(status: int, headers: dict[str, str] | None = None) -> Any:
    """The HTTP part of an answer."""
    return SimpleNamespace(status_code=status, headers=headers or {})


def model(operation: str) -> Any:
    """The operation as botocore names it."""
    return SimpleNamespace(name=operation, http={"method": "HEAD" if operation == HEAD else "GET"})


@pytest.mark.parametrize(
    ("operation", "status", "parsed"),
    [
        (GET, 200, {"ETag": '"1"'}),
        (PUT, 200, {"ETag": '"1"'}),
        (OPEN, 200, {"UploadId": "u"}),
        (LIST, 200, {"Bucket": "b"}),
        (DELETE, 204, {}),
        (GET, 404, refusal("NoSuchKey")),
        (GET, 404, refusal("NoSuchBucket")),
        (HEAD, 404, refusal("404")),
        (PUT, 403, refusal("403")),
        (PUT, 400, {}),
        (PUT, 503, refusal("SlowDown")),
        (PUT, 301, refusal("PermanentRedirect")),
    ],
)
def test_s3_speaks_so(operation: str, status: int, parsed: dict[str, Any]) -> None:
    check_answer(answer(status), parsed, model(operation))


@pytest.mark.parametrize(
    ("operation", "status", "parsed"),
    [
        (GET, 200, {}),
        (PUT, 200, {"ETag": ""}),
        (OPEN, 200, {}),
        (DELETE, 200, {}),
        (GET, 404, refusal("404")),
        (GET, 404, {}),
        (GET, 410, refusal("410")),
        (HEAD, 410, refusal("410")),
        (PUT, 502, refusal("502")),
        (PUT, 503, {}),
        (GET, 500, refusal("NoSuchKey")),
        (GET, 302, {}),
    ],
)
def test_somebody_else_speaks_so(operation: str, status: int, parsed: dict[str, Any]) -> None:
    with pytest.raises(NotS3, match=f"answered {status} \\(text/html\\), but not as S3"):
        check_answer(answer(status, HTML), parsed, model(operation))


def test_a_redirect_is_s3s_where_it_names_a_region() -> None:
    check_redirect((answer(307, {"x-amz-bucket-region": "eu-west-1"}), {}), model(HEAD))
    check_redirect(None, model(HEAD))
    check_redirect((answer(200), {}), model(HEAD))
    with pytest.raises(NotS3):
        check_redirect((answer(302, HTML), {}), model(HEAD))


@pytest.mark.parametrize(
    ("code", "absent"),
    [("NoSuchKey", True), ("NoSuchUpload", True), ("NoSuchBucket", False), ("404", False)],
)
def test_only_s3s_word_for_the_object_means_that_it_is_absent(code: str, absent: bool) -> None:
    assert is_absent(ClientError(refusal(code), GET)) is absent
    assert not is_absent(ValueError(code))
