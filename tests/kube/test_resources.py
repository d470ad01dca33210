"""Names and paths of resources."""

from __future__ import annotations

import pytest

from tidbbackup.kube.resources import CRDS, JOBS, PODS, Resource


@pytest.mark.parametrize(
    ("resource", "namespace", "name", "subresource", "path"),
    [
        (PODS, "", "", "", "/api/v1/pods"),
        (PODS, "ns", "", "", "/api/v1/namespaces/ns/pods"),
        (JOBS, "ns", "a", "status", "/apis/batch/v1/namespaces/ns/jobs/a/status"),
        (CRDS, "", "a.b", "", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/a.b"),
        (CRDS, "ns", "a.b", "", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/a.b"),
        (PODS, "ns", "../x?y", "", "/api/v1/namespaces/ns/pods/..%2Fx%3Fy"),
    ],
)
def test_paths(resource: Resource, namespace: str, name: str, subresource: str, path: str) -> None:
    assert resource.path(namespace, name, subresource) == path


def test_a_name_needs_its_namespace() -> None:
    with pytest.raises(ValueError, match="needs a namespace"):
        JOBS.path(name="a")


def test_names_of_resources() -> None:
    assert (str(PODS), str(JOBS)) == ("pods", "jobs.batch")
