"""What only the process node promises: no leak of its surroundings, its hooks, and its own faults."""

import asyncio
import os
import signal
from collections.abc import Callable

import pytest

from tests.cluster.contract.on_process_node import NODE, OnProcessNode
from tests.cluster.contract.scenarios import LOG, mounted, value
from tests.cluster.contract.subject import NAMESPACE, conditions, terminated

from .sessions import processes_of

pytestmark = pytest.mark.integration

SLEEPS = ("sleep", "1000")


async def _eventually(rule: Callable[[], bool], timeout: float = 10.0) -> None:
    async with asyncio.timeout(timeout):
        while not rule():  # noqa: ASYNC110 - there is nothing to wait on but /proc
            await asyncio.sleep(0.05)


async def _start(on_node: OnProcessNode, *command: str, **spec: object) -> str:
    """The name of a pod that runs."""
    name = await on_node.subject.start(on_node.subject.pod("p", *command, **spec))
    await on_node.subject.running(name)
    return name


async def _forget(on_node: OnProcessNode, name: str) -> None:
    await on_node.subject.delete(name, 0)
    await on_node.subject.gone(name)


async def test_scrubbed_environment(on_node: OnProcessNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the test's own environment reaches a container."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the test")
    pod = on_node.subject.pod("env", "env", env=[value("A", "1")])
    name = await on_node.subject.start(pod)
    await on_node.subject.end(name)
    lines = on_node.node.log(NAMESPACE, name, "main").splitlines()
    assert {line.partition("=")[0] for line in lines} == {"A", "PATH", "HOME"}


async def test_paths_in_environment_and_arguments_are_local(on_node: OnProcessNode) -> None:
    """A value and an argument below a mount path name the same local file."""
    script = 'test "$FILE" = "$1" && printf "%s" "$FILE" > "$TERMINATION_LOG"'
    spec = mounted(emptyDir={}) | {"args": ["x", "/mnt/v/f"], "env": [LOG, value("FILE", "/mnt/v/f")]}
    name = await on_node.subject.start(on_node.subject.pod("paths", "sh", "-c", script, **spec))
    message = terminated(await on_node.subject.end(name))["message"]
    assert message.startswith(str(on_node.plane.folder))
    assert message.endswith("/f")


async def test_kill(on_node: OnProcessNode) -> None:
    """A signal from outside: 128 and its number."""
    name = await _start(on_node, *SLEEPS)
    on_node.node.kill(NAMESPACE, name, signal.SIGTERM)
    ended = terminated(await on_node.subject.end(name))
    assert (ended["exitCode"], ended["reason"]) == (143, "Error")


async def test_oom_kill(on_node: OnProcessNode) -> None:
    """Out of memory: 137 with a reason of its own."""
    name = await _start(on_node, *SLEEPS)
    on_node.node.oom_kill(NAMESPACE, name)
    status = await on_node.subject.end(name)
    assert (terminated(status)["exitCode"], terminated(status)["reason"]) == (137, "OOMKilled")


async def test_evict(on_node: OnProcessNode) -> None:
    """The pod is Failed with the node's reason, and marked as disrupted."""
    name = await _start(on_node, "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
    on_node.node.evict(NAMESPACE, name, "The node was low on resource: memory.")
    status = await on_node.subject.end(name)
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
    assert status["message"] == "The node was low on resource: memory."
    assert conditions(status, ("DisruptionTarget",)) == {"DisruptionTarget": ("True", "TerminationByKubelet")}


async def test_processes_end_with_the_main_process(on_node: OnProcessNode) -> None:
    """What the main process leaves behind, also in a process group of its own, dies with it."""
    script = (
        "import os, subprocess, time\n"
        "subprocess.Popen(['sleep', '1000'])\n"
        "subprocess.Popen(['sleep', '1000'], process_group=0)\n"
        "time.sleep(1000)\n"
    )
    name = await _start(on_node, "python3", "-c", script)
    await _eventually(lambda: len(on_node.node.pids(NAMESPACE, name)) == 3)
    main, *others = on_node.node.pids(NAMESPACE, name)
    on_node.node.kill(NAMESPACE, name, signal.SIGKILL)
    await on_node.subject.end(name)
    assert on_node.node.pids(NAMESPACE, name) == []
    assert processes_of(main) == []
    await _eventually(lambda: not any(_alive(pid) for pid in others))


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def test_forced_deletion_kills_at_once(on_node: OnProcessNode) -> None:
    """A pod that the API has no more has no process either, and its files are gone, but for its log."""
    script = "trap '' TERM; echo here; while :; do sleep 0.1; done"
    name = await _start(on_node, "sh", "-c", script, **mounted(emptyDir={}))
    pids = on_node.node.pids(NAMESPACE, name)
    await _forget(on_node, name)
    await _eventually(lambda: not any(_alive(pid) for pid in pids))
    assert on_node.node.log(NAMESPACE, name, "main") == "here\n"
    pods = on_node.plane.folder / "nodes" / NODE / "pods"
    await _eventually(lambda: not any(pods.glob("*/volumes/v")))


async def test_entrypoint_of_an_added_image(on_node: OnProcessNode) -> None:
    """An image that cannot be pulled starts once it is there, with its own entrypoint."""
    pod = on_node.subject.pod("added", args=["-c", "exit 9"], image="missing.invalid/added")
    del pod["spec"]["containers"][0]["command"]
    name = await on_node.subject.start(pod)
    await on_node.subject.waiting(name, "ImagePullBackOff")
    on_node.node.add_image("missing.invalid/added", ["sh"])
    assert terminated(await on_node.subject.end(name))["exitCode"] == 9


async def test_environment_that_is_too_long(on_node: OnProcessNode) -> None:
    """The kernel's refusal is a StartError, as with a real runtime."""
    pod = on_node.subject.pod("long", "true", env=[value("A", "x" * 200_000)])
    ended = terminated(await on_node.subject.end(await on_node.subject.start(pod)))
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert "rgument list too long" in ended["message"]


async def test_other_restart_policies_are_refused(on_node: OnProcessNode) -> None:
    """The pod says why at once."""
    pod = on_node.subject.pod("always", "true")
    pod["spec"]["restartPolicy"] = "Always"
    name = await on_node.subject.start(pod)
    status = await on_node.subject.end(name)
    assert status["reason"] == "RestartPolicyNotSupported"
    assert 'this pod has "Always"' in status["message"]


async def test_restart_of_the_api_server(on_node: OnProcessNode) -> None:
    """Pods end while the API server is away; it hears of that, and of nothing twice, when it is back."""
    script = "trap 'exit 4' TERM; while :; do sleep 0.1; done"
    ends = await _start(on_node, "sh", "-c", script)
    stays = await _start(on_node, *SLEEPS)
    pids = on_node.node.pids(NAMESPACE, stays)
    await on_node.plane.stop_apiserver()
    on_node.node.kill(NAMESPACE, ends, signal.SIGTERM)
    await _eventually(lambda: not on_node.node.pids(NAMESPACE, ends))
    await on_node.plane.start_apiserver()
    assert terminated(await on_node.subject.end(ends))["exitCode"] == 4
    assert on_node.node.pids(NAMESPACE, stays) == pids
    later = await on_node.subject.start(on_node.subject.pod("later", "true"))
    assert (await on_node.subject.end(later))["phase"] == "Succeeded"
    await _forget(on_node, stays)


async def test_not_ready(on_node: OnProcessNode) -> None:
    """The Node says so and renews its Lease no more, until it is ready again."""
    api, path = on_node.plane.api, f"/api/v1/nodes/{NODE}"
    lease = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{NODE}"

    async def ready() -> str:
        return conditions((await api.get(path))["status"], ("Ready",))["Ready"][0]

    async def becomes(wanted: str) -> None:
        async with asyncio.timeout(10):
            while await ready() != wanted:  # noqa: ASYNC110 - the API is asked
                await asyncio.sleep(0.1)

    on_node.node.set_ready(False)
    await becomes("False")
    renewed = (await api.get(lease))["spec"]["renewTime"]
    await asyncio.sleep(3.5)
    assert (await api.get(lease))["spec"]["renewTime"] == renewed
    on_node.node.set_ready(True)
    await becomes("True")
    assert (await api.get(lease))["spec"]["renewTime"] > renewed
    later = await on_node.subject.start(on_node.subject.pod("after", "true"))
    assert (await on_node.subject.end(later))["phase"] == "Succeeded"


def test_hooks_name_a_pod_they_do_not_know(on_node: OnProcessNode) -> None:
    """A test that misspells a pod hears of it."""
    with pytest.raises(LookupError, match="has not run a pod contract/nobody"):
        on_node.node.pids(NAMESPACE, "nobody")


async def test_path_of_containers(on_node: OnProcessNode) -> None:
    """Without a PATH of its own a container has the node's."""
    pod = on_node.subject.pod("path", "sh", "-c", 'printf "%s" "$PATH" > "$TERMINATION_LOG"', env=[LOG])
    ended = terminated(await on_node.subject.end(await on_node.subject.start(pod)))
    assert ended["message"] == os.environ["PATH"]
