"""crds.yaml and install.yaml are what kustomize makes now, and each kustomization is sound."""

from pathlib import Path

import pytest
import yaml

from manifests.compose import COMPOSED, FOLDER, compose, kustomize
from tests.cluster.binaries import find_or_build
from tests.manifests.shipped import JSON

# kubectl is built on the first use of it.
pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def kubectl() -> Path:
    """The test cluster's."""
    return find_or_build().program("kubectl")


def test_the_files_are_what_make_manifests_writes(kubectl: Path) -> None:
    composed = compose(kubectl)
    assert sorted(path.name for path in composed) == sorted(COMPOSED)
    for path, text in composed.items():
        assert path.read_text() == text, "run `make manifests`"


def test_chosen_namespaces_get_the_same_rules_as_a_role_each(kubectl: Path) -> None:
    everywhere = list(yaml.safe_load_all(kustomize(kubectl, FOLDER / "default")))
    chosen = list(yaml.safe_load_all(kustomize(kubectl, FOLDER / "namespaced")))
    (rules,) = [found["rules"] for found in everywhere if _is(found, "ClusterRole", "tidbbackup-controller")]
    roles = [found for found in chosen if _is(found, "Role", "tidbbackup-controller")]
    (deployment,) = [found for found in chosen if found["kind"] == "Deployment"]
    (arguments,) = [container["args"] for container in deployment["spec"]["template"]["spec"]["containers"]]
    namespaces = [role["metadata"]["namespace"] for role in roles]

    assert [role["rules"] for role in roles] == [rules] * len(roles)
    assert f"--namespaces={','.join(namespaces)}" in arguments
    assert [
        (found["metadata"]["namespace"], found["roleRef"]["kind"], found["subjects"][0]["namespace"])
        for found in chosen
        if _is(found, "RoleBinding", "tidbbackup-controller")
    ] == [(namespace, "Role", "tidbbackup-system") for namespace in namespaces]
    # The CRDs belong to no namespace; nothing else of the controller's is left cluster-wide.
    wide = sorted(found["metadata"]["name"] for found in chosen if found["kind"].startswith("ClusterRole"))
    assert wide == ["tidbbackup-crd-reader", "tidbbackup-crd-reader", "tidbbackup-edit", "tidbbackup-view"]
    bound = [found["roleRef"]["name"] for found in chosen if found["kind"] == "ClusterRoleBinding"]
    assert bound == ["tidbbackup-crd-reader"]


@pytest.mark.parametrize("folder", ["monitoring", "policy", "crd"])
def test_the_others_can_be_composed_too(kubectl: Path, folder: str) -> None:
    listed = yaml.safe_load((FOLDER / folder / "kustomization.yaml").read_text())["resources"]
    made = list(yaml.safe_load_all(kustomize(kubectl, FOLDER / folder)))
    files = {path.name for path in (FOLDER / folder).glob("*.yaml")} - {"kustomization.yaml"}

    assert len(made) >= len(listed)
    assert set(listed) == files


def _is(found: JSON, kind: str, name: str) -> bool:
    return bool(found["kind"] == kind and found["metadata"]["name"] == name)
