"""rclone's flags: read as rclone does, honoured, ignored or refused; what may be a key is not repeated.

Here is also what model/flags/rclone_values.py promises.
"""

from fnmatch import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.model.flags.mydumper import Flag
from tidbbackup.model.flags.rclone import HONOURED, NO_EFFECT, REFUSED, asked, read_rclone_flags
from tidbbackup.model.providers import Transfer

CANARY = "AKIACANARYCANARYCANA"
KIB, MIB = 1 << 10, 1 << 20


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ((), ()),
        (("--ignore-checksum",), (Flag("--ignore-checksum"),)),
        (("--stats=1s",), (Flag("--stats", "1s"),)),
        (("--stats", "1s", "-v"), (Flag("--stats", "1s"), Flag("-v"))),
        (("--checkers", "-1"), (Flag("--checkers", "-1"),)),
        (("--s3-acl", "private"), (Flag("--s3-acl", "private"),)),
        (("--x=a=b",), (Flag("--x", "a=b"),)),
    ],
)
def test_rclone_flags(options: tuple[str, ...], flags: tuple[Flag, ...]) -> None:
    assert read_rclone_flags(options) == flags


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("private",), "item 1 is no flag"),
        (("--stats=1s", "1s"), "item 2 is no flag"),
        (("--s3-acl", "a", "b"), "item 3 is no flag"),
        (("--stats",), "--stats needs a value"),
        (("",), "item 1 is no flag"),
        (("--s3-acl private",), "item 1: write --s3-acl=value, or the value as the next item"),
    ],
)
def test_no_rclone_flags(options: tuple[str, ...], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_rclone_flags(options)


@pytest.mark.parametrize(
    "options",
    [
        ("--s3-secret-access-key", CANARY),
        (f"--s3-secret-access-key={CANARY}",),
        (f"--s3-secret-access-key {CANARY}",),
        (CANARY,),
        ("--ignore-checksum", "-v", "x", CANARY),
        ("--ignore-checksum", CANARY),
        ("--bwlimit", CANARY),
        (f"--s3-acl={CANARY}",),
        (f"--s3-acl {CANARY}",),
        ("--nonesuch", CANARY),
    ],
)
def test_a_value_stands_in_no_name_and_no_error(options: tuple[str, ...]) -> None:
    try:
        told = " ".join(flag.name for flag in read_rclone_flags(options))
    except ValueError as error:
        told = str(error)
    assert CANARY not in told
    assert CANARY not in str(asked(options).mistakes)


@pytest.mark.parametrize(
    ("flag", "target"),
    [
        ("--ignore-checksum", {}),
        ("--ignore-checksum=false", {}),
        ("--s3-acl=public-read", {"acl": "public-read"}),
        ("--s3-acl=", {"acl": ""}),
        ("--s3-storage-class=GLACIER", {"storageClass": "GLACIER"}),
        ("--s3-storage-class=", {"storageClass": ""}),
        ("--s3-server-side-encryption=aws:kms", {"sse": "aws:kms"}),
        ("--s3-sse-kms-key-id=arn:aws:kms:x:y", {"sseKmsKeyId": "arn:aws:kms:x:y"}),
        ("--s3-force-path-style", {"pathStyle": True}),
        ("--s3-force-path-style=0", {"pathStyle": False}),
        ("--s3-force-path-style=FALSE", {"pathStyle": False}),
    ],
)
def test_what_is_sent(flag: str, target: dict[str, object]) -> None:
    found = asked((flag,))
    assert (found.target, found.transfer, found.mistakes) == (target, Transfer(), ())


@pytest.mark.parametrize(
    ("flag", "transfer"),
    [
        ("--s3-chunk-size=64M", Transfer(partBytes=64 * MIB)),
        ("--s3-chunk-size=64Mi", Transfer(partBytes=64 * MIB)),
        ("--s3-chunk-size=64MiB", Transfer(partBytes=64 * MIB)),
        ("--s3-chunk-size=5120", Transfer(partBytes=5 * MIB)),
        ("--s3-chunk-size=1.5g", Transfer(partBytes=1536 * MIB)),
        ("--s3-chunk-size=6291456B", Transfer(partBytes=6 * MIB)),
        ("--s3-upload-concurrency=8", Transfer(concurrency=8)),
        ("--bwlimit=10M", Transfer(bytesPerSecond=10 * MIB)),
        ("--bwlimit=512", Transfer(bytesPerSecond=512 * KIB)),
        ("--bwlimit=10M:1M", Transfer(bytesPerSecond=10 * MIB)),
        ("--bwlimit=off", Transfer()),
        ("--bwlimit=off:1M", Transfer()),
        ("--ca-cert=/ca/ca.pem", Transfer(caFile="/ca/ca.pem")),
    ],
)
def test_how_it_travels(flag: str, transfer: Transfer) -> None:
    found = asked((flag,))
    assert (found.transfer, found.target, found.mistakes) == (transfer, {}, ())


@pytest.mark.parametrize(
    ("flag", "cure"),
    [
        ("--s3-acl=open", "write one of private, public-read"),
        ("--s3-server-side-encryption=DES", "write one of AES256, aws:kms"),
        ("--s3-storage-class=a b", "write the name of a storage class"),
        ("--s3-force-path-style=yes", "write true or false"),
        ("--s3-sse-kms-key-id=a\nb", "write printable ASCII characters"),
        ("--s3-chunk-size=1M", "write a size from 5M to 5G"),
        ("--s3-chunk-size=6G", "write a size from 5M to 5G"),
        ("--s3-chunk-size=x", "write a size such as 16M or 1G"),
        ("--s3-chunk-size=", "write a size such as 16M or 1G"),
        ("--s3-chunk-size=off", "write a size such as 16M or 1G"),
        ("--s3-upload-concurrency=65", "write a number from 1 to 64"),
        ("--s3-upload-concurrency=-1", "write a number from 1 to 64"),
        ("--bwlimit=08:00,512 12:00,off", "timetables are not supported"),
        ("--bwlimit=12:00,off", "timetables are not supported"),
        ("--bwlimit=100B", "write a rate such as 10M"),
        ("--bwlimit=fast", "write a rate such as 10M"),
        ("--ca-cert=ca.pem", "write the absolute path of a file"),
        ("--ca-cert=/ca/../etc/x", "write the absolute path of a file"),
    ],
)
def test_wrong_values_are_told_with_their_cure(flag: str, cure: str) -> None:
    (mistake,) = asked((flag,)).mistakes
    assert cure in mistake.cure
    assert mistake.shown in (flag, flag.split("=")[0])
    assert asked((flag,)) == asked((flag,))
    assert (asked((flag,)).target, asked((flag,)).transfer) == ({}, Transfer())


@pytest.mark.parametrize("flag", sorted(HONOURED))
def test_every_honoured_flag_refuses_what_is_no_value(flag: str) -> None:
    assert asked((f"{flag}=\0",)).mistakes


@pytest.mark.parametrize("flag", sorted(NO_EFFECT))
def test_flags_without_effect_are_named(flag: str) -> None:
    found = asked((f"{flag}=1",))
    assert (found.without_effect, found.mistakes, found.transfer) == ((flag,), (), Transfer())


@pytest.mark.parametrize(
    ("flag", "why"),
    [
        *((name.replace("*", "x"), why) for name, why in REFUSED.items()),
        ("--rc-web-gui", "opens a port"),
        ("--dump=headers", "would write keys into the log"),
        ("--header-upload=x", "may carry keys"),
        ("--nonesuch", "is no flag that we know"),
        ("--no-check-certificate=false", "use spec.s3.caSecretName"),
        ("--s3-access-key-id2", "is no flag that we know"),
    ],
)
def test_refused_by_name_with_the_reason(flag: str, why: str) -> None:
    (mistake,) = asked((flag,)).mistakes
    assert mistake.shown == flag.split("=")[0]
    assert why in mistake.cure


def test_the_three_tables_share_no_flag() -> None:
    assert not set(HONOURED) & NO_EFFECT
    for pattern in REFUSED:
        taken = [name for name in [*HONOURED, *NO_EFFECT] if fnmatch(name, pattern)]
        assert taken == []


def test_the_last_of_a_flag_wins_and_a_value_may_be_the_next_item() -> None:
    found = asked(("--bwlimit", "1M", "-v", "--bwlimit=2M", "--s3-upload-concurrency", "2"))
    assert found.transfer == Transfer(bytesPerSecond=2 * MIB, concurrency=2)
    assert found.without_effect == ("-v",)


@given(st.lists(st.text(max_size=10) | st.sampled_from([*HONOURED, *NO_EFFECT, "x"]), max_size=5).map(tuple))
def test_any_list_is_judged(options: tuple[str, ...]) -> None:
    found = asked(options)
    assert all(mistake.cure for mistake in found.mistakes)
