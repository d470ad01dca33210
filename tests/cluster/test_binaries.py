"""Where the Kubernetes programs are looked for; the build itself is what `make setup` has just done."""

import shutil
from pathlib import Path

import pytest

from tests.cluster import binaries, toolchain
from tests.cluster.binaries import MODULE, MissingProgram


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


def test_the_build_has_another_name_when_anything_of_it_changes(tmp_path: Path) -> None:
    module = tmp_path / "module"
    shutil.copytree(MODULE, module)
    assert binaries.build_name(module) == binaries.build_name(MODULE)
    assert binaries.build_name(module).startswith(f"kubernetes-{binaries.version(MODULE)}-")
    (module / "main.go").write_text("package main\n")
    assert binaries.build_name(module) != binaries.build_name(MODULE)


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"XDG_CACHE_HOME": "/x/cache", "HOME": "/h"}, "/x/cache/tidbbackup"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/tidbbackup"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/tidbbackup"),
    ],
)
def test_the_cache_folder(environ: dict[str, str], folder: str) -> None:
    assert binaries.cache_folder(environ) == Path(folder)


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}])
def test_without_a_home_in_the_environment_the_user_database_has_one(environ: dict[str, str]) -> None:
    assert binaries.cache_folder(environ).is_absolute()
    assert binaries.cache_folder(environ).parts[-2:] == (".cache", "tidbbackup")


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
