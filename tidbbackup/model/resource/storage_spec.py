"""`spec.s3` and `spec.from` as users write them. decide validates them and resolves them to an ObjectTarget.

Must not know what is allowed: the schema here refuses only values without any meaning.
"""

from __future__ import annotations

from attrs import frozen

from tidbbackup.model.providers import Provider, row_of
from tidbbackup.model.wire import NAME_LENGTH, TEXT_LENGTH, declared, required


@frozen
class Source:
    """The database to back up."""

    host: str = required(
        "Address of the database: a host name or an IP address.", minLength=1, maxLength=NAME_LENGTH
    )
    port: int = declared(4000, "Port of the database.", minimum=1, maximum=65535)
    user: str = declared("root", "User to log in as.", maxLength=NAME_LENGTH)
    secretName: str = required(
        "Secret in this namespace whose key `password` has the user's password.", maxLength=NAME_LENGTH
    )
    tlsClientSecretName: str = declared(
        "",
        "Secret with `ca.crt`, and for client certificates `tls.crt` and `tls.key`: log in over TLS.",
        maxLength=NAME_LENGTH,
    )

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"


@frozen
class S3Spec:
    """Where the archive goes."""

    provider: str = required(
        "One of aws, ceph, alibaba, digitalocean, dreamhost, ibmcos, minio, netease, wasabi, other.",
        maxLength=NAME_LENGTH,
    )
    region: str = declared("", "Region of the bucket.", maxLength=NAME_LENGTH)
    bucket: str = declared("", "Name of the bucket, which has to exist.", maxLength=TEXT_LENGTH)
    prefix: str = declared("", "Folder in the bucket for the archive.", maxLength=TEXT_LENGTH)
    path: str = declared("", "Used by Restore only; no effect in a Backup.", maxLength=TEXT_LENGTH)
    endpoint: str = declared(
        "", "URL of the service if it is not Amazon's, such as https://s3.example.com.", maxLength=2048
    )
    secretName: str = declared(
        "",
        "Secret in this namespace with `access_key` and `secret_key` (and `session_token`). Absent: the "
        "pod's own identity (IAM role annotation, service account, node role).",
        maxLength=NAME_LENGTH,
    )
    acl: str = declared(
        "",
        "Canned ACL: private, public-read, public-read-write, authenticated-read, bucket-owner-read or "
        "bucket-owner-full-control. Absent: no header is sent, the bucket's default (private) applies.",
        maxLength=NAME_LENGTH,
    )
    storageClass: str = declared(
        "",
        "STANDARD, REDUCED_REDUNDANCY, STANDARD_IA, ONEZONE_IA, GLACIER or DEEP_ARCHIVE. "
        "Absent: STANDARD_IA on aws, the bucket's default elsewhere.",
        maxLength=NAME_LENGTH,
    )
    options: tuple[str, ...] = declared(
        (),
        "Flags of rclone, such as --ignore-checksum or --bwlimit=10M; docs/reference/s3.md lists them.",
        maxItems=64,
        itemLength=TEXT_LENGTH,
    )
    sse: str = declared("", "Server-side encryption: AES256 or aws:kms.", maxLength=NAME_LENGTH)
    sseKmsKeyId: str = declared("", "Key of KMS to encrypt with; needs sse: aws:kms.", maxLength=2048)
    forcePathStyle: bool | None = declared(
        None, "true: bucket in the path; false: bucket in the host name. Absent: as the provider needs it."
    )
    caSecretName: str = declared(
        "", "Secret whose `ca.crt` has signed the endpoint's certificate.", maxLength=NAME_LENGTH
    )
    tags: dict[str, str] | None = declared(
        None, "Tags of the archive.", maxProperties=10, itemLength=NAME_LENGTH
    )

    @property
    def row(self) -> Provider:
        """The provider's quirks."""
        return row_of(self.provider)
