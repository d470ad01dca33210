"""S3-compatible storage as in the specification: providers, ACLs, classes, and the address of an object.

Differences between providers are rows of one table, never branches. Must not know any S3 client.
"""

from __future__ import annotations

from attrs import field, frozen

from tidbbackup.model.compression import Compression, compression_of, without_extension

ACLS = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
)
STORAGE_CLASSES = ("STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "GLACIER", "DEEP_ARCHIVE")

ENCRYPTIONS = ("AES256", "aws:kms")

# If the provider does not support these two, they are not sent, with a Warning: they ask for the
# bucket's default.
HARMLESS_ACLS = ("private", "bucket-owner-full-control")


MIB = 1 << 20
LARGEST_PART = 512 * MIB
"""Of an upload: two of them have to fit into the worker's memory."""


@frozen
class Provider:
    """One row of quirks. Sources: the specification's list and each provider's documentation.

    These are not here, because nothing depends on them: how objects are listed (ListObjectsV2), what an
    ETag is (we never read it as a digest), trailers and DeleteObjects (we send none).
    """

    name: str
    title: str
    scheme: str = "https"
    virtual_only: bool = False
    """The service refuses path style, so the bucket is in the host name also with an endpoint."""
    storage_class: str = ""
    """Sent when the spec names none; empty sends no header."""
    region: str = "us-east-1"
    """Used for signing when the spec names none."""
    acls: tuple[str, ...] = ACLS
    """Canned ACLs of objects that the provider documents."""
    full_checksum: bool = False
    """Takes a CRC32 of each part and checks one of the whole object (ChecksumType FULL_OBJECT)."""
    unequal_parts: bool = False
    """Accepts parts of different sizes, as its documentation says."""
    loses_tags: bool = False
    """Ignores the tags of a multipart upload, but accepts them afterwards (seen: Ceph 16.2)."""


PROVIDERS = {
    row.name: row
    for row in (
        Provider("aws", "Amazon S3", storage_class="STANDARD_IA", full_checksum=True, unequal_parts=True),
        Provider("ceph", "Ceph Object Gateway", scheme="http", unequal_parts=True, loses_tags=True),
        Provider("alibaba", "Alibaba Cloud OSS", virtual_only=True, acls=ACLS[:3], unequal_parts=True),
        # Both run on Ceph.
        Provider("digitalocean", "DigitalOcean Spaces", acls=ACLS[:2], unequal_parts=True),
        Provider("dreamhost", "DreamHost DreamObjects", unequal_parts=True),
        Provider("ibmcos", "IBM Cloud Object Storage", acls=ACLS[:4]),
        Provider("minio", "MinIO", full_checksum=True, unequal_parts=True),
        Provider("netease", "NetEase Object Storage", virtual_only=True),
        Provider("wasabi", "Wasabi", unequal_parts=True),
        # An unknown service gets only what all services accept.
        Provider("other", "any other S3-compatible service"),
    )
}


def row_of(provider: str) -> Provider:
    """The row of a provider; for an unknown one the most careful row."""
    return PROVIDERS.get(provider, PROVIDERS["other"])


@frozen
class Transfer:
    """How the bytes are sent, as `s3.options` says; None: our default."""

    partBytes: int | None = None
    concurrency: int | None = None
    """Parts that are sent at the same time."""
    bytesPerSecond: int | None = None
    caFile: str = ""
    """Path of the only CA to trust, inside a mounted volume of the user's."""


@frozen
class ObjectTarget:
    """The address of one archive and how to reach it; everything is resolved, and there is no secret."""

    provider: str
    bucket: str
    key: str
    region: str = "us-east-1"
    endpoint: str = ""
    """URL with scheme; empty means the provider's own (AWS) endpoint."""
    pathStyle: bool = False
    acl: str = ""
    storageClass: str = ""
    sse: str = ""
    sseKmsKeyId: str = ""
    customCa: bool = False
    """`ca.crt` is in S3_TLS_DIR."""
    tags: dict[str, str] = field(factory=dict)
    transfer: Transfer = field(factory=Transfer)

    @property
    def row(self) -> Provider:
        """The provider's quirks."""
        return row_of(self.provider)

    @property
    def url(self) -> str:
        """The archive's address as in the status."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def compression(self) -> Compression:
        """The archive's, by its key."""
        return compression_of(self.key)

    @property
    def manifest_key(self) -> str:
        """The manifest's key: beside the archive, written last."""
        return without_extension(self.key) + ".manifest.json"

    @property
    def log_key(self) -> str:
        """The key of the log's end: beside the archive."""
        return f"{self.key}.log"

    @property
    def top(self) -> str:
        """The one top directory inside the archive: its file name without extension."""
        return without_extension(self.key.rsplit("/", 1)[-1])
