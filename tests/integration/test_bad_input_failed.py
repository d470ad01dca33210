"""What only a server can tell: Failed, in the server's words, with the cure, nothing left in the bucket."""

from collections.abc import Callable
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.ports import free_port
from tests.integration.scene import Scene, phase, why

# storage_lost only begins here, see there.
pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("storage_lost")]

Change = Callable[[Scene], dict[str, Any]]

FAILED: dict[str, tuple[Change, str, tuple[str, ...]]] = {
    "database down": (
        lambda _: {"source": {"port": free_port()}},
        "DatabaseUnreachable",
        ("root@127.0.0.1:", "Connection refused", "are spec.from.host and spec.from.port right"),
    ),
    "host that does not resolve": (
        lambda _: {"source": {"host": "no-such-host.invalid"}},
        "DatabaseUnreachable",
        ("root@no-such-host.invalid:", "are spec.from.host and spec.from.port right"),
    ),
    "unknown user": (
        lambda _: {"source": {"user": "nobody-knows-me"}},
        "LoginFailed",
        ("nobody-knows-me@127.0.0.1:", "Access denied for user", "check spec.from.user"),
    ),
    "bucket missing": (
        lambda _: {"s3": {"bucket": "never-made"}},
        "BucketNotFound",
        ("s3://never-made/", "NoSuchBucket", "create the bucket or correct spec.s3.bucket"),
    ),
    "bucket for the server to judge": (
        # Legal on old AWS and on Ceph; here it is only missing.
        lambda _: {"s3": {"bucket": "Bad_Bucket"}},
        "BucketNotFound",
        ("s3://Bad_Bucket/", "correct spec.s3.bucket"),
    ),
    "storage down": (
        lambda _: {"s3": {"endpoint": f"http://127.0.0.1:{free_port()}"}},
        "StorageUnreachable",
        ("at http://127.0.0.1:", "check spec.s3.endpoint, DNS and network policies"),
    ),
    "https to an http server": (
        lambda scene: {"s3": {"endpoint": scene.lab.store.endpoint.replace("http:", "https:")}},
        "StorageUnreachable",
        ("is the endpoint's scheme right",),
    ),
    "nothing to dump": (
        lambda _: {"mydumper": {"tableRegex": "^nothing$"}},
        "NothingToDump",
        ("no database to dump", "spec.mydumper.tableRegex"),
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def applied(place: Scene) -> Scene:
    """All of them at once: some fail only after several attempts to connect."""
    for case, (change, _, _) in FAILED.items():
        # Without a volume of its own each: there are fewer volumes than cases.
        staging = {"storageClassName": None, "storageSize": None}
        await place.apply(place.backup(case.replace(" ", "-"), **change(place), **staging))
    return place


@pytest.mark.parametrize("case", FAILED)
async def test_it_fails_and_says_why(applied: Scene, case: str) -> None:
    _, wanted, words = FAILED[case]
    name, place = case.replace(" ", "-"), applied

    backup = await place.until_over(name, seconds=90)

    assert phase(backup) == "Failed"
    reason, message = why(backup)
    assert reason == wanted, message
    for each in words:
        assert each in message
    assert ("Warning", "Failed", f"{reason}: {message}") in await place.events(name)
    assert await place.objects() == {}


async def test_wrong_keys(scene: Scene) -> None:
    keys = {"access_key": scene.lab.store.access_key, "secret_key": "wrong-secret-key"}
    await scene.secret("s3-secret", keys)
    await scene.apply(scene.backup())

    reason, message = why(await scene.until_phase("Failed"))

    assert reason == "CredentialsRefused"
    assert "SignatureDoesNotMatch" in message
    assert "check `access_key` and `secret_key` in the Secret of spec.s3.secretName" in message
    assert "wrong-secret-key" not in message
    await scene.delete()
    await scene.until_gone(seconds=5)


async def test_a_user_without_rights(scene: Scene) -> None:
    database = scene.lab.database
    await database.sql("CREATE OR REPLACE USER narrow@'%' IDENTIFIED BY 'narrow'")
    await database.sql("GRANT SELECT ON *.* TO narrow@'%'")
    await scene.secret("narrow", {"password": "narrow"})
    await scene.apply(scene.backup(source={"user": "narrow", "secretName": "narrow"}))

    reason, message = why(await scene.until_phase("Failed"))

    assert reason == "GrantsMissing"
    assert "the backup would miss what it cannot see" in message
    assert "GRANT RELOAD, SHOW VIEW, TRIGGER, EVENT ON *.* TO" in message
