"""The end of a process node, and what the next one of its name makes of the pods it left."""

import os
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.cluster.contract.on_process_node import OnProcessNode
from tests.cluster.contract.subject import NAMESPACE, NodeUnderTest, terminated

from .container import Launch, program_found
from .node import ProcessNode, process_node
from .sessions import processes_of


@pytest.mark.integration
async def test_pods_of_a_node_that_has_ended(on_node: OnProcessNode) -> None:
    """No process outlives the node; the next one reports such a pod as lost and runs it no second time."""
    plane, name = on_node.plane, "short-lived"
    subject = NodeUnderTest(plane.api, name, image="contract.test/python:1")

    def another() -> AbstractAsyncContextManager[ProcessNode]:
        return process_node(
            url=plane.url,
            ca=plane.ca,
            token=plane.token,
            processes=plane.processes,
            search_path=os.environ["PATH"],
            name=name,
        )

    async with another() as node:
        pod = await subject.start(subject.pod("left", "sleep", "1000"))
        await subject.running(pod)
        main = node.pids(NAMESPACE, pod)[0]
    assert processes_of(main) == []
    async with another():
        status = await subject.end(pod)
        assert status["phase"] == "Failed"
        assert terminated(status)["reason"] == "ContainerStatusUnknown"
        await subject.delete(pod, 5)
        await subject.gone(pod)


def _launch(folder: Path, *argv: str) -> Launch:
    return Launch(argv=list(argv), env={"PATH": str(folder)}, cwd=folder)


def test_program_is_found_on_the_path_of_the_container(tmp_path: Path) -> None:
    """A bare name by PATH, a name with a slash from the working directory."""
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    assert program_found(_launch(tmp_path, "tool", "a")) == [str(tool), "a"]
    assert program_found(_launch(tmp_path, "./tool")) == [str(tool)]
    assert program_found(_launch(Path("/"), str(tool))) == [str(tool)]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "no command specified"),
        (("absent",), 'exec: "absent": executable file not found in $PATH'),
        (("./absent",), 'exec: "./absent": stat ./absent: no such file or directory'),
        (("./plain",), 'exec: "./plain": permission denied'),
        (("tool", "\0"), 'exec: "tool": invalid argument'),
    ],
)
def test_program_that_cannot_be_started(tmp_path: Path, argv: tuple[str, ...], message: str) -> None:
    """The words of runc."""
    (tmp_path / "plain").write_text("")
    with pytest.raises((OSError, ValueError)) as caught:
        program_found(_launch(tmp_path, *argv))
    assert str(caught.value) == message
