"""Where the Kubernetes programs are looked for; the build itself is what `make setup` has just done."""

from pathlib import Path

import pytest

from tests.cluster import binaries, toolchain
from tests.cluster.binaries import MissingProgram


def _program(path: Path) -> None:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def test_a_folder_of_the_users_own_is_taken_instead_of_building(tmp_path: Path) -> None:
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"):
        _program(tmp_path / name)
    found = binaries.find_or_build({"KUBEBUILDER_ASSETS": str(tmp_path)})
    assert found.etcd == tmp_path / "etcd"
    assert found.program("kube-scheduler") == tmp_path / "kube-scheduler"
    with pytest.raises(MissingProgram, match="there is no program kubelet in"):
        found.program("kubelet")


def test_a_folder_that_lacks_programs_is_refused_with_their_names(tmp_path: Path) -> None:
    # What envtest's own archives hold.
    for name in ("etcd", "kube-apiserver", "kubectl"):
        _program(tmp_path / name)
    with pytest.raises(
        MissingProgram, match="has no program kube-controller-manager, kube-scheduler: add it"
    ):
        binaries.find_or_build({"KUBEBUILDER_ASSETS": str(tmp_path)})


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("go version go1.24.0 linux/amd64", True),
        ("go version go1.26.8 linux/amd64", True),
        ("go version go2.0 linux/arm64", True),
        ("go version go1.19.8 linux/amd64", False),
        ("", False),
    ],
)
def test_which_go_is_new_enough(text: str, answer: bool) -> None:
    assert toolchain.is_new_enough(text) is answer
