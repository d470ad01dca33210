"""What an answer of the storage proves. An Ingress, a proxy or another service may answer in its place.

Every answer to every request passes here, before anything else sees it. Must not know what is asked, nor why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

_PROOF_OF_YES = {
    **dict.fromkeys(
        ("HeadObject", "GetObject", "PutObject", "UploadPart", "CompleteMultipartUpload"), "ETag"
    ),
    "CreateMultipartUpload": "UploadId",
    "ListMultipartUploads": "Bucket",
    "ListObjectsV2": "Name",
}
"""What S3 says in every answer that it carries out these operations."""
_WITHOUT_CONTENT = ("DeleteObject", "AbortMultipartUpload")
"""Carried out, these are answered with 204 and nothing else."""


class NotS3(Exception):
    """An answer that proves nothing: S3 does not speak so."""


def check_answer(http_response: Any, parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
    """Stop an answer that is not S3's own, be it yes or no. botocore calls it (`after-call`).

    Raises:
        NotS3: with the status and the kind of the content.
    """
    status, headers, word = http_response.status_code, http_response.headers, _word(parsed)
    # Any other 4xx is reported as a refusal, whichever server sent it: it is never taken for absence.
    proven = True
    if status < 300:
        wanted = _PROOF_OF_YES.get(model.name)
        proven = wanted is None or bool(parsed.get(wanted))
        proven = proven and (status == 204 or model.name not in _WITHOUT_CONTENT)
    elif status in (404, 410):
        # An answer to HEAD has no words: objects.head asks a second time.
        proven = word.startswith("NoSuch") or (status == 404 and model.http["method"] == "HEAD")
    elif status >= 500 or status < 400:
        said = bool(word) and not word.startswith("NoSuch")
        proven = said or (status < 400 and "x-amz-bucket-region" in headers)
    if not proven:
        raise NotS3(f"answered {status} ({headers.get('content-type', 'no content')}), but not as S3")


def check_redirect(response: tuple[Any, Mapping[str, Any]] | None, operation: Any, **_: Any) -> None:
    """The same for a redirect, before botocore follows it: without a region it asks itself for ever.

    Raises:
        NotS3: it is not S3's.
    """
    if response is not None and 300 <= response[0].status_code < 400:
        check_answer(*response, operation)


def is_absent(error: BaseException) -> bool:
    """Whether S3 says itself that the object or the upload is not there. Where the bucket is missing it says
    nothing of them."""
    return isinstance(error, ClientError) and _word(error.response) in ("NoSuchKey", "NoSuchUpload")


def _word(parsed: Mapping[str, Any]) -> str:
    """S3's own code; "" where botocore has put the status there."""
    code = str(parsed.get("Error", {}).get("Code", ""))
    return "" if code.isdigit() else code
