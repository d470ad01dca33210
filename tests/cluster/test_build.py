"""Commands with progress; the build as a whole is what `make setup` runs."""

import fcntl
import os
import shutil
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest

from tests.cluster import binaries, build
from tests.cluster.build import BuildFailed, Recipe, Steps, run


def _steps() -> Steps:
    return Steps("compiling packages", done=lambda line: " " not in line, total=3)


def test_a_command_that_fails_shows_its_last_lines(tmp_path: Path) -> None:
    script = "import sys; print('no space left', file=sys.stderr); sys.exit(3)"
    with pytest.raises(BuildFailed, match=r"(?s)ended with 3:\nno space left"):
        run([sys.executable, "-c", script], tmp_path, os.environ, _steps())


def test_a_command_answers_with_its_output_and_counts_its_steps(tmp_path: Path) -> None:
    script = "import sys; print('a\\nb'); print('k8s.io/api\\nsome words\\nk8s.io/kms', file=sys.stderr)"
    steps = _steps()
    assert [line.strip() for line in run([sys.executable, "-c", script], tmp_path, os.environ, steps)] == [
        "a",
        "b",
    ]
    assert steps.line(12.4) == "compiling packages: 2 of 3, 12 s"


def recipe_of(module: Path, *programs: str) -> Recipe:
    """Programs of a module that need not be there."""
    return Recipe(
        title="Kubernetes",
        name="kubernetes",
        module=module,
        source="k8s.io/kubernetes",
        package=".",
        stamps=(),
        cost="nothing",
        programs=programs,
    )


def test_a_build_that_fails_leaves_nothing_under_the_final_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise BuildFailed("as asked")

    monkeypatch.setattr(build, "_compile", fail)
    with pytest.raises(BuildFailed):
        build.build(recipe_of(tmp_path, "kubectl"), tmp_path / "cache" / "kubernetes", tmp_path, tmp_path)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".kubernetes.lock"]


def test_a_build_removes_what_a_killed_one_left_and_links_every_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "kubernetes"
    (tmp_path / ".building-kubernetes").mkdir()
    (tmp_path / ".building-kubernetes" / "half").touch()
    monkeypatch.setattr(build, "_compile", lambda recipe, output, env: output.touch())
    build.build(recipe_of(tmp_path, "kubectl", "kubelet"), target, tmp_path, tmp_path)
    assert {path.name for path in target.iterdir()} == {"kubernetes", "kubectl", "kubelet"}
    assert (target / "kubelet").resolve() == target / "kubernetes"


def test_while_another_checkout_builds_we_wait_and_take_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[Path] = []
    monkeypatch.setattr(build, "_compile", lambda recipe, output, env: compiled.append(output))
    target = tmp_path / "kubernetes"
    waiting = threading.Thread(target=build.build, args=(recipe_of(tmp_path), target, tmp_path, tmp_path))
    with (tmp_path / ".kubernetes.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting.start()
        assert waiting.is_alive()
        target.mkdir()
    waiting.join(10)
    assert not waiting.is_alive()
    assert compiled == []


def test_the_build_has_another_name_when_anything_of_it_changes(tmp_path: Path) -> None:
    module = tmp_path / "module"
    shutil.copytree(binaries.MODULE, module)
    copy = attrs.evolve(binaries.RECIPE, module=module)
    assert copy.folder_name == binaries.RECIPE.folder_name
    assert copy.folder_name.startswith(f"kubernetes-{copy.version}-")
    (module / "main.go").write_text("package main\n")
    assert copy.folder_name != binaries.RECIPE.folder_name


def test_a_module_that_does_not_name_its_source(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module empty\n")
    with pytest.raises(BuildFailed, match=r"go\.mod names no version of k8s\.io/kubernetes"):
        _ = recipe_of(tmp_path).version


def test_what_is_built_together_shares_what_is_compiled_and_leaves_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caches = []

    def compile_it(recipe: Recipe, output: Path, env: Mapping[str, str]) -> None:
        Path(env["GOCACHE"]).mkdir(exist_ok=True)
        caches.append(env["GOCACHE"])
        output.touch()

    monkeypatch.setattr(build, "_compile", compile_it)
    both = [binaries.RECIPE, attrs.evolve(binaries.RECIPE, name="another")]
    environ = {"HOME": str(tmp_path)}
    folders = build.built_together(both, environ)
    assert [(folder / recipe.name).exists() for folder, recipe in zip(folders, both, strict=True)] == [
        True
    ] * 2
    assert len(caches) == 2
    assert len(set(caches)) == 1
    assert not Path(caches[0]).exists()
    assert build.built_together(both, environ) == folders
    assert len(caches) == 2
