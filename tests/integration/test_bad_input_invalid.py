"""What the controller finds wrong with a spec: Invalid, with field, value and cure; corrected, it runs."""

from typing import Any

import pytest
import pytest_asyncio
import yaml

from tests.cluster.control_plane import KubectlFailed
from tests.integration.scene import Scene, phase, why

pytestmark = pytest.mark.integration

PROVIDERS = "write one of aws, ceph, alibaba, digitalocean, dreamhost, ibmcos, minio, netease, wasabi, other"
ACLS = (
    "write one of private, public-read, public-read-write, authenticated-read, bucket-owner-read, "
    "bucket-owner-full-control, or leave it out"
)
CLASSES = (
    "write one of STANDARD, REDUCED_REDUNDANCY, STANDARD_IA, ONEZONE_IA, GLACIER, DEEP_ARCHIVE, "
    "or leave it out"
)
BUCKET = "a bucket's name has 3 to 255 letters, digits, - _ or single dots"
FOLDER = "write folders as a/b: no empty part, no . or .., no control characters"

INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "unknown provider": ({"s3": {"provider": "azure"}}, f"spec.s3.provider: 'azure': {PROVIDERS}"),
    "unknown acl": ({"s3": {"acl": "everybody"}}, f"spec.s3.acl: 'everybody': {ACLS}"),
    "unknown class": ({"s3": {"storageClass": "COLD"}}, f"spec.s3.storageClass: 'COLD': {CLASSES}"),
    "no bucket": ({"s3": {"bucket": None}}, "spec.s3.bucket: is missing: name a bucket that exists"),
    "bucket of two": ({"s3": {"bucket": "ab"}}, f"spec.s3.bucket: 'ab': {BUCKET}"),
    "bucket with dots": ({"s3": {"bucket": "a/../b"}}, f"spec.s3.bucket: 'a/../b': {BUCKET}"),
    "folder with dots": ({"s3": {"bucket": "abc/../b"}}, f"spec.s3.bucket: '../b': {FOLDER}"),
    "prefix slashes": ({"s3": {"prefix": "a//b"}}, f"spec.s3.prefix: 'a//b': {FOLDER}"),
    "prefix up": ({"s3": {"prefix": "a/../b"}}, f"spec.s3.prefix: 'a/../b': {FOLDER}"),
    "prefix control": ({"s3": {"prefix": "a\x07b"}}, f"spec.s3.prefix: 'a\\x07b': {FOLDER}"),
    "prefix 1000": (
        {"s3": {"prefix": "p" * 1000}},
        "the key would have 1047 bytes and S3 allows 1024: write a shorter one",
    ),
    "endpoint file": (
        {"s3": {"endpoint": "file:///etc"}},
        "spec.s3.endpoint: 'file:///etc': write http:// or https://",
    ),
    "endpoint ftp": (
        {"s3": {"endpoint": "ftp://s3"}},
        "spec.s3.endpoint: 'ftp://s3': write http:// or https://",
    ),
    "no endpoint": (
        {"s3": {"provider": "ceph", "endpoint": None}},
        "spec.s3.endpoint: is missing: provider ceph needs the URL of the service",
    ),
    "host is an option": (
        {"source": {"host": "--exec=sh"}},
        "spec.from.host: '--exec=sh': write a host name or an IP address, nothing else",
    ),
    "size 0": ({"storageSize": "0"}, "spec.storageSize: '0': write a size such as 10Gi"),
    "br": (
        {"br": {"cluster": "demo1"}},
        "spec.br: is not supported: remove it for a logical backup with mydumper",
    ),
    "rclone flag": (
        {"s3": {"options": ["--s3-chunk-size=1M", "--s3-secret-access-key", "x", "--nonesuch"]}},
        "spec.s3.options: '--s3-chunk-size=1M': write a size from 5M to 5G (a bare number is KiB); "
        "spec.s3.options: '--s3-secret-access-key': would put a secret into the spec: put keys into the "
        "Secret that spec.s3.secretName names; spec.s3.options: '--nonesuch': is no flag that we know",
    ),
    "mydumper flag": (
        {"mydumper": {"options": ["--outputdir=/etc"]}},
        "spec.mydumper.options: '--outputdir': is not allowed: where files go is the worker's own",
    ),
    "no rule": (
        {"tableFilter": ["shop"], "mydumper": {"tableRegex": "^a"}},
        "spec.tableFilter: cannot stand beside spec.mydumper.tableRegex: keep one of them; "
        "spec.tableFilter: `shop`: has no dot after the database: write database.table",
    ),
    "excludes only": (
        {"dumpling": {"tableFilter": ["!a.b"], "options": ["--sql=SELECT 1"]}},
        "spec.dumpling.tableFilter: takes no table: begin with *.* to exclude from all, or name what to "
        "take; spec.dumpling.options: --sql is not supported: only whole tables are dumped",
    ),
    "no regex": (
        {"mydumper": {"tableRegex": "("}},
        "spec.mydumper.tableRegex: '(': is no regular expression: missing ), unterminated subpattern",
    ),
    "no from": ({"source": None}, "spec.from: is missing: name the database (host, port, user, secretName)"),
    "no s3": ({"s3": None}, "spec.s3: is missing: say where the archive goes (provider, bucket, ...)"),
    "two at once": (
        {"source": {"host": "a b"}, "useKMS": True},
        "spec.from.host: 'a b': write a host name or an IP address, nothing else; "
        "spec.useKMS: True: is not supported: put the plain password into the Secret",
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def applied(place: Scene) -> Scene:
    """All of them at once, as from one file: a kubectl for each would take most of the time."""
    wrong = [place.backup(_named(case), **change) for case, (change, _) in INVALID.items()]
    await place.lab.plane.kubectl_run("apply", "-f", "-", input=yaml.safe_dump_all(wrong))
    return place


def _named(case: str) -> str:
    return case.replace(" ", "-")


@pytest.mark.parametrize("case", INVALID)
async def test_it_is_invalid_and_says_where_what_and_the_cure(applied: Scene, case: str) -> None:
    _, words = INVALID[case]
    name = _named(case)

    backup = await applied.until_phase("Invalid", name, seconds=10)

    reason, message = why(backup)
    assert reason == "InvalidSpec"
    assert words in message
    assert len(message) < 700, "for people"
    await applied.until_said("Invalid", name)
    assert ("Warning", "Invalid", f"InvalidSpec: {message}") in await applied.events(name)


async def test_they_make_no_job_and_are_deleted_without_one(applied: Scene) -> None:
    for case in INVALID:
        await applied.until_phase("Invalid", _named(case))
    assert not await applied.jobs()

    await applied.kubectl("delete", "backups", "--all", "--wait=false")

    for case in INVALID:
        await applied.until_gone(_named(case))
    assert not await applied.jobs()


async def test_mended_it_runs(scene: Scene) -> None:
    await scene.apply(scene.backup(s3={"provider": "azure"}))
    await scene.until_phase("Invalid")

    await scene.apply(scene.backup(s3={"provider": "ceph"}))

    backup = await scene.until_over_but_invalid()
    assert phase(backup) == "Complete", why(backup)
    (invalid,) = [c for c in backup["status"]["conditions"] if c["type"] == "Invalid"]
    assert invalid["status"] == "False"
    with pytest.raises(KubectlFailed) as refused:
        await scene.apply(scene.backup(s3={"provider": "ceph", "bucket": "elsewhere"}))
    assert "spec.s3.bucket" in str(refused.value)
    assert "cannot change once the backup has begun: make a new Backup instead" in str(refused.value)
    await scene.apply(scene.backup(s3={"provider": "ceph"}, cleanPolicy="Delete"))
    await scene.delete()
    await scene.until_gone()
    assert await scene.objects() == {}


async def test_an_endpoint_without_scheme_works_with_a_warning(scene: Scene) -> None:
    bare = scene.lab.store.endpoint.removeprefix("http://")
    await scene.apply(scene.backup(s3={"provider": "ceph", "endpoint": bare}))

    backup = await scene.until_over()

    assert phase(backup) == "Complete", why(backup)
    (warning,) = [c for c in backup["status"]["conditions"] if c["type"] == "Warning"]
    assert (warning["reason"], warning["message"]) == (
        "EndpointWithoutScheme",
        f"spec.s3.endpoint has no scheme: http://{bare} is used",
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"resources": {"limits": {"memory": "much"}}}, "quantities must match the regular expression"),
        ({"tolerations": [{"operator": "Maybe"}]}, 'operator: Unsupported value: "Maybe"'),
    ],
)
async def test_what_the_api_server_refuses_in_the_job_is_invalid_and_can_be_mended(
    scene: Scene, change: dict[str, Any], words: str
) -> None:
    await scene.apply(scene.backup(**change))

    reason, message = why(await scene.until_phase("Invalid", seconds=10))

    assert reason == "InvalidSpec"
    assert words in message
    assert "passed on to the pod" in message
    nothing: dict[str, Any] = dict.fromkeys(change)
    await scene.apply(scene.backup(**nothing))
    backup = await scene.until_over_but_invalid()
    assert phase(backup) == "Complete", why(backup)
