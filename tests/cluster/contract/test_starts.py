"""Pods that cannot start, or not yet, and pods that run."""

import ipaddress

import pytest

from .scenarios import LOG, config_map, mounted, of, secret, value
from .subject import NodeUnderTest, conditions, terminated

pytestmark = [pytest.mark.integration, pytest.mark.side_by_side]

FOREVER = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")


async def test_running(node_under_test: NodeUnderTest) -> None:
    """A pod that runs is ready and has an address of its own."""
    name = await node_under_test.start(node_under_test.pod("runs", *FOREVER))
    status = await node_under_test.running(name)
    assert status["phase"] == "Running"
    assert conditions(status) == {
        "PodReadyToStartContainers": ("True", ""),
        "Initialized": ("True", ""),
        "Ready": ("True", ""),
        "ContainersReady": ("True", ""),
        "PodScheduled": ("True", ""),
    }
    assert ipaddress.ip_address(status["podIP"]) != ipaddress.ip_address(status["hostIP"])
    assert status["containerStatuses"][0]["state"]["running"]["startedAt"] >= status["startTime"]
    for reason in ("Pulled", "Created", "Started"):
        event = await node_under_test.event(name, reason, "", kind="Normal")
        assert event["involvedObject"]["fieldPath"] == "spec.containers{main}"
    await node_under_test.delete(name, 5)
    await node_under_test.gone(name)


async def test_own_addresses(node_under_test: NodeUnderTest) -> None:
    """Two pods listen on the same port, each on the address it was given."""
    script = (
        "import os, socket, signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "listener = socket.create_server((os.environ['POD_IP'], 8081))\n"
        "open(os.environ['READY'] + '/up', 'w').close()\n"
        "signal.pause()\n"
    )
    address = of("POD_IP", fieldRef={"fieldPath": "status.podIP"})
    spec = {"env": [address, value("READY", "/mnt/v")], **mounted(emptyDir={})}
    names = [
        await node_under_test.start(node_under_test.pod("listens", "python3", "-c", script, **spec))
        for _ in range(2)
    ]
    addresses = {(await node_under_test.running(name))["podIP"] for name in names}
    assert len(addresses) == 2
    for name in names:
        await node_under_test.delete(name, 5)
        await node_under_test.gone(name)


@pytest.mark.side_by_side(waits=15)
@pytest.mark.parametrize(
    ("reference", "made", "message"),
    [
        ({"secretKeyRef": {"name": "late", "key": "k"}}, secret("late", k="v"), 'secret "late" not found'),
        (
            {"configMapKeyRef": {"name": "late", "key": "k"}},
            config_map("late", k="v"),
            'configmap "late" not found',
        ),
    ],
    ids=["secret", "config-map"],
)
async def test_missing_source_that_appears(
    node_under_test: NodeUnderTest,
    reference: dict[str, object],
    made: tuple[str, dict[str, object]],
    message: str,
) -> None:
    """A container whose Secret or ConfigMap is missing waits, says why, and starts when it is made."""
    pod = node_under_test.pod("waits", "sh", "-c", 'test "$K" = v', env=[of("K", **reference)])
    name = await node_under_test.start(pod)
    state = await node_under_test.waiting(name, "CreateContainerConfigError")
    assert state["message"] == message
    event = await node_under_test.event(name, "Failed", f"Error: {message}")
    assert event["involvedObject"]["fieldPath"] == "spec.containers{main}"
    await node_under_test.create(*made)
    assert (await node_under_test.end(name))["phase"] == "Succeeded"


async def test_missing_key(node_under_test: NodeUnderTest) -> None:
    """A Secret without the key is named with the key."""
    await node_under_test.create(*secret("keyless", other="x"))
    reference = of("K", secretKeyRef={"name": "keyless", "key": "password"})
    name = await node_under_test.start(node_under_test.pod("keyless", "true", env=[reference]))
    state = await node_under_test.waiting(name, "CreateContainerConfigError")
    assert state["message"] == "couldn't find key password in Secret contract/keyless"


@pytest.mark.side_by_side(waits=10)
async def test_missing_secret_volume_that_appears(node_under_test: NodeUnderTest) -> None:
    """A pod whose Secret volume is missing stays ContainerCreating, with an event that says why."""
    spec = {"env": [value("MOUNT", "/mnt/v")], **mounted(secret={"secretName": "late-volume"})}
    name = await node_under_test.start(
        node_under_test.pod("mounts", "sh", "-c", 'test -s "$MOUNT/k"', **spec)
    )
    failed = 'MountVolume.SetUp failed for volume "v" : secret "late-volume" not found'
    await node_under_test.event(name, "FailedMount", failed)
    await node_under_test.waiting(name, "ContainerCreating")
    await node_under_test.create(*secret("late-volume", k="v"))
    # A real kubelet tries such a mount again after up to two minutes.
    assert (await node_under_test.end(name, timeout=150))["phase"] == "Succeeded"


@pytest.mark.side_by_side(waits=25)
async def test_image_that_cannot_be_pulled(node_under_test: NodeUnderTest) -> None:
    """The container waits with ErrImagePull or ImagePullBackOff, and events say why."""
    pod = node_under_test.pod("unpulled", "true", image=node_under_test.missing_image)
    name = await node_under_test.start(pod)
    state = await node_under_test.waiting(name, "ImagePullBackOff")
    assert state["message"].startswith(f'Back-off pulling image "{node_under_test.missing_image}"')
    await node_under_test.event(name, "Failed", f'Failed to pull image "{node_under_test.missing_image}"')
    await node_under_test.event(name, "Failed", "Error: ErrImagePull")
    await node_under_test.waiting(name, "ErrImagePull")
    await node_under_test.delete(name, 1)
    await node_under_test.gone(name)


async def test_image_that_may_not_be_pulled(node_under_test: NodeUnderTest) -> None:
    """Pull policy Never without the image."""
    image = {"image": node_under_test.missing_image, "imagePullPolicy": "Never"}
    name = await node_under_test.start(node_under_test.pod("unpulled", "true", **image))
    state = await node_under_test.waiting(name, "ErrImageNeverPull")
    assert state["message"].endswith("is not present with pull policy of Never")


async def test_command_that_does_not_exist(node_under_test: NodeUnderTest) -> None:
    """A container that cannot start has ended with 128 and StartError."""
    name = await node_under_test.start(node_under_test.pod("no-command", "no-such-program", env=[LOG]))
    status = await node_under_test.end(name)
    ended = terminated(status)
    assert (status["phase"], ended["exitCode"], ended["reason"]) == ("Failed", 128, "StartError")
    assert 'exec: "no-such-program": executable file not found in $PATH' in ended["message"]
    await node_under_test.event(name, "Failed", "executable file not found")
