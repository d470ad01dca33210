"""The pod's own identity: IRSA, EKS Pod Identity, kube2iam; late, refused, renewed, or not there at all.

Here is also what storage/identity.py promises.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest
import pytest_asyncio
from botocore.utils import ContainerMetadataFetcher

from tests.integration.aws_stand_ins import Aws, aws_stand_ins
from tests.integration.provider_rules import RULES
from tests.integration.strict_peer import StrictPeer, strict_peer
from tidbbackup.model import reasons
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage import identity
from tidbbackup.storage.body import Body
from tidbbackup.storage.client import AccessKeys, Patience, open_client
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.multipart import start_upload

pytestmark = pytest.mark.integration

PATIENCE = Patience(
    connect_timeout=20, read_timeout=20, attempts=1, part_delays=(), identity_pauses=(0.05,) * 4
)
PART = 5 << 20


@pytest_asyncio.fixture(loop_scope="session")
async def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Aws]:
    """The stand-ins, at the addresses where the AWS chain looks; nothing of this machine's own."""
    async with aws_stand_ins() as found:
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "BOTO_CONFIG"):
            monkeypatch.setenv(name, str(tmp_path / "none"))
        monkeypatch.delenv("AWS_REGION", raising=False)
        monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", found.url)
        # The S3 client takes no address from the environment.
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", found.url)
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def peer(aws: Aws) -> AsyncIterator[StrictPeer]:
    """An S3 that takes what the stand-ins have handed out."""
    async with strict_peer(RULES["other"]) as found:
        found.accepted = aws.accepted
        yield found


def given(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def target_at(peer: StrictPeer) -> ObjectTarget:
    return ObjectTarget("other", "bucket", "k.tgz", endpoint=f"http://127.0.0.1:{peer.port}", pathStyle=True)


async def upload(peer: StrictPeer) -> None:
    async def bodies() -> AsyncIterator[Body]:
        for body in (b"a" * PART, b"b" * PART, b"c"):
            yield Body([body])

    target = target_at(peer)
    async with open_client(target, None, patience=PATIENCE) as client:
        opened, _ = await start_upload(client, target, "run", PATIENCE)
        await opened.complete(await opened.send(bodies()))
    assert len(peer.objects["k.tgz"].body) == 2 * PART + 1


async def test_irsa(aws: Aws, peer: StrictPeer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("web-1")
    given(monkeypatch, aws.service_account(tmp_path / "token"))
    await upload(peer)
    assert aws.asked == ["STS AssumeRoleWithWebIdentity"]
    assert set(peer.keys) == {"AKIA0"}


async def test_irsa_is_renewed_while_an_upload_lasts(
    aws: Aws, peer: StrictPeer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Keys that end within ten minutes are renewed before the next request, with the token of that time."""
    token = tmp_path / "token"
    token.write_text("web-1")
    given(monkeypatch, aws.service_account(token))
    aws.lifetime = timedelta(minutes=9)
    target = target_at(peer)

    async def bodies() -> AsyncIterator[Body]:
        for number, body in enumerate((b"a" * PART, b"b" * PART, b"c"), start=2):
            # The kubelet has put a new token there, and the old keys have expired.
            token.write_text(f"web-{number}")
            for key in aws.accepted:
                aws.accepted[key] = "expired"
            yield Body([body])

    async with open_client(target, None, patience=PATIENCE) as client:
        opened, _ = await start_upload(client, target, "run", PATIENCE)
        await opened.complete(await opened.send(bodies()))
    assert len(peer.objects["k.tgz"].body) == 2 * PART + 1
    assert aws.web_tokens[0] == "web-1"
    assert aws.web_tokens[-1] == "web-4"
    assert len(set(peer.keys)) > 2


async def test_irsa_that_sts_refuses(
    aws: Aws, peer: StrictPeer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("CANARYTOKEN")
    given(monkeypatch, aws.service_account(tmp_path / "token"))
    aws.refusals = 2
    await upload(peer)
    aws.refusals = 99
    with pytest.raises(StorageError, match=r"STS gives this pod no credentials.*trusts it") as caught:
        await upload(peer)
    assert caught.value.reason == reasons.CREDENTIALS_REFUSED
    assert "CANARY" not in str(caught.value)


async def test_irsa_without_its_token(
    aws: Aws, peer: StrictPeer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given(monkeypatch, aws.service_account(tmp_path / "nowhere"))
    with pytest.raises(StorageError, match=r"nowhere.*check spec\.serviceAccount") as caught:
        await upload(peer)
    assert caught.value.reason == reasons.CREDENTIALS_MISSING


async def test_pod_identity(
    aws: Aws, peer: StrictPeer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("agent")
    given(monkeypatch, aws.pod_identity(tmp_path / "token"))
    await upload(peer)
    assert set(aws.asked) == {"agent"}
    assert set(peer.keys) == {"AKIA0"}


async def test_kube2iam_that_is_late(aws: Aws, peer: StrictPeer) -> None:
    """It knows a new pod only after seconds, and until then answers with errors."""
    aws.refusals = 3
    await upload(peer)
    assert aws.asked[-1] == "GET /latest/meta-data/iam/security-credentials/backup"
    assert set(peer.keys) == {"AKIA0"}


async def test_a_metadata_service_that_keeps_silent_is_asked_again(
    aws: Aws, peer: StrictPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_METADATA_TIMEOUT_SECONDS", 1)
    aws.troubles = ["silent"] * 3
    await upload(peer)
    assert aws.troubles == []
    assert set(peer.keys) == {"AKIA0"}


@pytest.fixture(params=["sts", "agent", "metadata"])
def renewing(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> Aws:
    """Each of the three that hand out keys. botocore's own tries are few: they take seconds."""
    token = tmp_path / "token"
    token.write_text("agent")
    if request.param == "sts":
        # botocore keeps longer-lived ones of STS in a cache.
        aws.lifetime = timedelta(minutes=9)
        given(monkeypatch, aws.service_account(token) | {"AWS_MAX_ATTEMPTS": "1"})
    if request.param == "agent":
        given(monkeypatch, aws.pod_identity(token))
    for name, value in {"RETRY_ATTEMPTS": 1, "SLEEP_TIME": 0, "TIMEOUT_SECONDS": 0.2}.items():
        monkeypatch.setattr(ContainerMetadataFetcher, name, value)
    monkeypatch.setattr(identity, "_METADATA_TIMEOUT_SECONDS", 1)
    return aws


async def in_trouble(peer: StrictPeer, aws: Aws, troubles: list[str]) -> None:
    """An upload whose keys have to be renewed when it has begun, and those who do it are in trouble."""
    # Rounds to spare: on a busy machine a part may need one more than the troubles take. botocore waits a
    # minute for a silent STS: there the part's own bound ends the round.
    bound = 2 if "silent" in troubles else 20
    patience = attrs.evolve(PATIENCE, read_timeout=bound, part_delays=(0.01,) * 20)
    target = target_at(peer)

    async def bodies() -> AsyncIterator[Body]:
        yield Body([b"a"])

    async with open_client(target, None, patience=patience) as client:
        opened, _ = await start_upload(client, target, "run", patience)
        client._request_signer._credentials._expiry_time = datetime.now(UTC) + timedelta(minutes=9)
        aws.troubles = troubles
        await opened.complete(await opened.send(bodies()))


@pytest.mark.parametrize("trouble", ["503", "429", "400", "silent"])
async def test_a_source_of_keys_that_is_down_at_a_renewal_is_waited_for(
    renewing: Aws, peer: StrictPeer, trouble: str
) -> None:
    """The old keys are good for minutes yet: an outage like one of the storage."""
    await in_trouble(peer, renewing, [trouble] * 3)
    assert renewing.troubles == []
    assert peer.objects["k.tgz"].body == b"a"


async def test_a_source_of_keys_that_stays_down_is_told_as_that(renewing: Aws, peer: StrictPeer) -> None:
    with pytest.raises(StorageError, match="the pod's own identity") as caught:
        await in_trouble(peer, renewing, ["503"] * 99)
    assert caught.value.reason == reasons.CREDENTIALS_MISSING
    assert "spec.s3.secretName" not in str(caught.value)
    assert "storage failed" not in str(caught.value)


async def test_none_at_all_names_the_four_ways(peer: StrictPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(StorageError) as caught:
        await upload(peer)
    assert caught.value.reason == reasons.CREDENTIALS_MISSING
    for way in ("spec.s3.secretName", "iam.amazonaws.com/role", "spec.serviceAccount", "the node a role"):
        assert way in str(caught.value)
    assert peer.keys == []


async def test_a_secret_is_never_mixed_with_the_pods_identity(
    aws: Aws, peer: StrictPeer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("web-1")
    given(monkeypatch, aws.service_account(tmp_path / "token"))
    target = target_at(peer)
    for key, token, code in (("SECRET", None, ""), ("SECRET", "old", "ExpiredToken")):
        aws.accepted["SECRET"] = ""
        async with open_client(target, AccessKeys(key, "s", token), patience=PATIENCE) as client:
            if not code:
                await start_upload(client, target, "run", PATIENCE)
                continue
            with pytest.raises(StorageError, match="the session token has expired; renew it"):
                await start_upload(client, target, "run", PATIENCE)
    assert set(peer.keys) == {"SECRET"}
    assert aws.asked == []
