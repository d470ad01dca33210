"""rclone's flags in `s3.options`: the treatment of each, and the function that parses them.

Three tables: honoured, accepted without effect, refused by name. A flag in none of them is unknown.
Sources: rclone's own flag list and its parsing (pflag, SizeSuffix, Go durations, ParseBool).
Must not know how a setting is carried out; an error never has text that may be an access key.
"""

from __future__ import annotations

import re
from typing import Any

import attrs
from attrs import field, frozen

from tidbbackup.model.flags import rclone_values as values
from tidbbackup.model.flags.mydumper import Flag
from tidbbackup.model.providers import Transfer


@frozen
class Honoured:
    """A flag that has the same effect as in rclone."""

    sets: str
    """Name of the field of ObjectTarget or of Transfer; empty: its effect is the default here."""
    read: values.Reader
    boolean: bool = False
    """Needs no value."""


HONOURED: dict[str, Honoured] = {
    # The specification's own example: rclone needs it on KMS buckets because it compares ETags; we do not.
    "--ignore-checksum": Honoured("", values.boolean, boolean=True),
    "--s3-acl": Honoured("acl", values.acl),
    "--s3-storage-class": Honoured("storageClass", values.storage_class),
    "--s3-server-side-encryption": Honoured("sse", values.encryption),
    "--s3-sse-kms-key-id": Honoured("sseKmsKeyId", values.text),
    "--s3-force-path-style": Honoured("pathStyle", values.boolean, boolean=True),
    "--s3-chunk-size": Honoured("partBytes", values.part_size),
    "--s3-upload-concurrency": Honoured("concurrency", values.concurrency),
    "--bwlimit": Honoured("bytesPerSecond", values.rate),
    "--ca-cert": Honoured("caFile", values.path),
}

# They tune features that do not exist here, because one object is sent once, as a stream, or tries and
# time-outs, which the worker sets itself.
_NO_EFFECT_BOOLEAN = frozenset(
    {
        *("--checksum", "--fast-list", "--human-readable", "--ignore-existing", "--ignore-size"),
        *("--ignore-times", "--immutable", "--no-traverse", "--no-update-modtime", "--progress", "-P"),
        *("--quiet", "-q", "--size-only", "--stats-one-line", "--update", "-u", "--use-json-log"),
        *("--use-mmap", "--use-server-modtime", "--verbose", "-v", "-vv", "-vvv"),
        *("--s3-disable-checksum", "--s3-disable-http2", "--s3-env-auth", "--s3-leave-parts-on-error"),
        *("--s3-might-gzip", "--s3-no-check-bucket", "--s3-no-head", "--s3-no-head-object"),
        *("--s3-no-system-metadata", "--s3-use-accept-encoding-gzip", "--s3-use-already-exists"),
        *("--s3-use-data-integrity-protections", "--s3-use-multipart-etag", "--s3-use-multipart-uploads"),
        *("--s3-use-unsigned-payload", "--s3-use-x-id", "--s3-versions"),
    }
)
NO_EFFECT_WITH_VALUE = frozenset(
    {
        *("--buffer-size", "--checkers", "--contimeout", "--low-level-retries", "--retries"),
        *("--retries-sleep", "--timeout", "--expect-continue-timeout", "--log-format", "--log-level"),
        *("--multi-thread-chunk-size", "--multi-thread-cutoff", "--multi-thread-streams", "--stats"),
        *("--stats-file-name-length", "--stats-log-level", "--stats-unit", "--tpslimit"),
        *("--tpslimit-burst", "--transfers", "--user-agent"),
        *("--s3-bucket-acl", "--s3-copy-cutoff", "--s3-encoding", "--s3-list-chunk", "--s3-list-url-encode"),
        *("--s3-list-version", "--s3-location-constraint", "--s3-memory-pool-flush-time"),
        *("--s3-memory-pool-use-mmap", "--s3-upload-cutoff"),
    }
)
NO_EFFECT = _NO_EFFECT_BOOLEAN | NO_EFFECT_WITH_VALUE

_KEYS_IN_SPEC = "would put a secret into the spec: put keys into the Secret that spec.s3.secretName names"
_PLACE = "would move the archive, whose address cannot change: use spec.s3.{}"
_FILE = "reads or writes files of the pod: leave it out"
_IDENTITY = "takes credentials from elsewhere: use spec.s3.secretName or spec.serviceAccount"
_PROGRAM = "runs a program: leave it out"
_REMOTE = "opens a port that takes commands: leave it out"
_NOTHING = "would leave the bucket without the archive: leave it out"

REFUSED: dict[str, str] = {
    "--s3-access-key-id": _KEYS_IN_SPEC,
    "--s3-secret-access-key": _KEYS_IN_SPEC,
    "--s3-session-token": _KEYS_IN_SPEC,
    "--s3-sse-customer-*": "would put a secret into the spec: use --s3-server-side-encryption",
    "--header*": "may carry keys: use the fields of spec.s3 (acl, storageClass, sse, tags)",
    "--metadata*": "is not supported: use spec.s3.tags",
    "--s3-provider": _PLACE.format("provider"),
    "--s3-endpoint": _PLACE.format("endpoint"),
    "--s3-region": _PLACE.format("region"),
    "--s3-use-accelerate-endpoint": "changes the address: write it into spec.s3.endpoint",
    "--s3-use-dual-stack": "changes the address: write it into spec.s3.endpoint",
    "--backup-dir": _PLACE.format("prefix"),
    "--suffix": _PLACE.format("prefix"),
    "--s3-profile": _IDENTITY,
    "--s3-shared-credentials-file": _IDENTITY,
    "--s3-role-*": _IDENTITY,
    "--s3-sts-endpoint": _IDENTITY,
    "--s3-max-upload-parts": "is not supported: raise --s3-chunk-size until so many parts hold the archive",
    "--no-check-certificate": "would send the data to whoever answers: use spec.s3.caSecretName",
    "--s3-v2-auth": "signs in a way that is no longer safe: leave it out",
    "--config": _FILE,
    "--log-file*": _FILE,
    "--temp-dir": _FILE,
    "--cache-dir": _FILE,
    "--files-from*": _FILE,
    "--*-from": _FILE,
    "--cpuprofile": _FILE,
    "--memprofile": _FILE,
    "--client-cert": "reads a file of the pod: certificates of clients are not supported",
    "--client-key": "reads a file of the pod: certificates of clients are not supported",
    "--client-pass": _KEYS_IN_SPEC,
    "--*-command": _PROGRAM,
    "--rc": _REMOTE,
    "--rc-*": _REMOTE,
    "--metrics-*": _REMOTE,
    "--dump*": "would write keys into the log: leave it out",
    "--dry-run": _NOTHING,
    "-n": _NOTHING,
    "--interactive": _NOTHING,
    "-i": _NOTHING,
    "--include": _NOTHING,
    "--exclude": _NOTHING,
    "--filter": _NOTHING,
    "--max-*": _NOTHING,
    "--min-*": _NOTHING,
    "--cutoff-mode": _NOTHING,
    "--delete-*": "would delete other objects: leave it out",
}
"""By name, `*` for any rest; the reason, and what to do instead."""

# The longest name of a flag: the rest may be an access key, and is never repeated.
_FLAG_NAME = re.compile(r"-[A-Za-z0-9-]*")
# A longer value may be an access key in the wrong place.
_VALUE_SHOWN = 15


@frozen
class Mistake:
    """One flag that cannot be honoured. `shown` has no value that may be an access key."""

    shown: str | None
    cure: str


@frozen
class Asked:
    """The settings in a list of flags."""

    target: dict[str, Any] = field(factory=dict)
    """Fields of ObjectTarget."""
    transfer: Transfer = field(factory=Transfer)
    without_effect: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()


def read_rclone_flags(options: tuple[str, ...]) -> tuple[Flag, ...]:
    """The flags in a list as rclone reads it: `--f=v`, or `--f` and `v` as two items.

    Raises:
        ValueError: an item is no flag and no flag is before it; without the item, which may be an access key.
    """
    flags: list[Flag] = []
    waiting = ""
    for number, item in enumerate(options, start=1):
        name, given, value = item.partition("=")
        found = _FLAG_NAME.match(name)
        if waiting:
            flags.append(Flag(waiting, item))
            waiting = ""
        elif found and _wants_value(name) and not given:
            waiting = name
        elif found and found[0] != name and _known(found[0]):
            raise ValueError(f"item {number}: write {found[0]}=value, or the value as the next item")
        elif found:
            flags.append(Flag(found[0], value))
        elif flags and not flags[-1].value and options[number - 2] == flags[-1].name:
            flags[-1] = Flag(flags[-1].name, item)
        else:
            raise ValueError(f"item {number} is no flag")
    if waiting:
        raise ValueError(f"{waiting} needs a value")
    return tuple(flags)


def asked(options: tuple[str, ...]) -> Asked:
    """All settings of the flags, and all mistakes in them. As in rclone the last of two equal flags counts.

    Never raises: a wrong flag is a Mistake and sets nothing.
    """
    try:
        flags = read_rclone_flags(options)
    except ValueError as error:
        return Asked(mistakes=(Mistake(None, str(error)),))
    found: dict[str, Any] = {}
    mistakes: list[Mistake] = []
    for flag in flags:
        try:
            found |= _setting(flag)
        except ValueError as error:
            value = f"={flag.value}" if flag.name in HONOURED and len(flag.value) <= _VALUE_SHOWN else ""
            mistakes.append(Mistake(flag.name + value, str(error)))
    ours = {each.name for each in attrs.fields(Transfer)}
    return Asked(
        target={name: value for name, value in found.items() if name not in ours},
        transfer=Transfer(**{name: value for name, value in found.items() if name in ours}),
        without_effect=tuple(dict.fromkeys(flag.name for flag in flags if flag.name in NO_EFFECT)),
        mistakes=tuple(mistakes),
    )


def _setting(flag: Flag) -> dict[str, Any]:
    if flag.name in NO_EFFECT:
        return {}
    honoured = HONOURED.get(flag.name)
    if honoured is None:
        raise ValueError(_refusal(flag.name))
    value = honoured.read(flag.value or "true" if honoured.boolean else flag.value)
    return {honoured.sets: value} if honoured.sets else {}


def _refusal(name: str) -> str:
    for pattern, reason in REFUSED.items():
        if re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name):
            return reason
    return "is no flag that we know: leave it out, or use a field of spec.s3"


def _wants_value(name: str) -> bool:
    return name in NO_EFFECT_WITH_VALUE or (name in HONOURED and not HONOURED[name].boolean)


def _known(name: str) -> bool:
    return name in HONOURED or name in NO_EFFECT
