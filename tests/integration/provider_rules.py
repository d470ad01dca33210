"""What each provider takes, written down by hand from its documentation and not from our own table."""

from attrs import frozen

MIB = 1 << 20
ALL_ACLS = frozenset(
    {
        *("private", "public-read", "public-read-write"),
        *("authenticated-read", "bucket-owner-read", "bucket-owner-full-control"),
    }
)


@frozen
class Rules:
    """What one provider takes."""

    scheme: str = "https"
    """Where an endpoint names none."""
    bucket_in: str = "both"
    """`host`, `path` or `both`."""
    classes: frozenset[str] = frozenset()
    acls: frozenset[str] = ALL_ACLS
    checksums: bool = False
    """Knows CRC32 of parts and of the whole object."""
    unequal_parts: bool = True
    upload_tags: bool = True
    """Keeps the tags that a multipart upload was opened with."""
    least_part: int = 5 * MIB
    most_parts: int = 10_000


RULES = {
    "aws": Rules(
        classes=frozenset(
            {"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "GLACIER", "DEEP_ARCHIVE"}
        ),
        checksums=True,
    ),
    "ceph": Rules(
        scheme="http", bucket_in="path", classes=frozenset({"STANDARD", "COLD"}), upload_tags=False
    ),
    "alibaba": Rules(
        bucket_in="host",
        classes=frozenset({"STANDARD", "STANDARD_IA", "GLACIER"}),
        acls=frozenset({"private", "public-read", "public-read-write"}),
    ),
    "digitalocean": Rules(acls=frozenset({"private", "public-read"})),
    "dreamhost": Rules(),
    "ibmcos": Rules(
        bucket_in="path",
        acls=frozenset({"private", "public-read", "public-read-write", "authenticated-read"}),
        unequal_parts=False,
    ),
    "minio": Rules(bucket_in="path", classes=frozenset({"STANDARD", "REDUCED_REDUNDANCY"}), checksums=True),
    "netease": Rules(bucket_in="host", unequal_parts=False),
    "wasabi": Rules(),
    "other": Rules(bucket_in="path", acls=ALL_ACLS, unequal_parts=False),
}
