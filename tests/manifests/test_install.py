"""install.yaml: hardened, alone, and consistent with the program that it starts."""

import pytest

from tests.manifests.shipped import documents, matches, the
from tidbbackup import __version__
from tidbbackup.arguments import parser
from tidbbackup.model.names import MANAGED_BY
from tidbbackup.settings import DEFAULT_PORT, Settings

DEPLOYMENT = the("Deployment")
POD = DEPLOYMENT["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]


def test_the_workers_run_the_image_that_the_controller_runs() -> None:
    (image,) = [each["value"] for each in CONTAINER["env"] if each["name"] == "WORKER_IMAGE"]

    assert image == CONTAINER["image"]
    assert CONTAINER["image"] == f"tidbbackup:{__version__}"


def test_its_command_line_is_one_that_the_program_takes() -> None:
    words: list[str] = [*CONTAINER["command"], *CONTAINER["args"]]

    # As kubelet fills it in.
    assert {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}} in (
        CONTAINER["env"]
    )
    words = [word.replace("$(POD_NAMESPACE)", DEPLOYMENT["metadata"]["namespace"]) for word in words]

    options = parser().parse_args(words[1:])

    assert (words[0], options.verb, options.log_format) == ("tidbbackup", "controller", "json")
    assert options.leader_elect


def test_it_has_the_time_to_drain() -> None:
    assert POD["spec"]["terminationGracePeriodSeconds"] >= 2 * Settings().drain_seconds


def test_two_replicas_and_never_fewer_while_they_are_replaced() -> None:
    assert DEPLOYMENT["spec"]["replicas"] == 2
    rolling = {"maxSurge": 1, "maxUnavailable": 0}
    assert DEPLOYMENT["spec"]["strategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}


def test_they_are_spread_over_nodes_where_there_are_several() -> None:
    (spread,) = POD["spec"]["topologySpreadConstraints"]

    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == (
        "kubernetes.io/hostname",
        "ScheduleAnyway",
    )
    assert matches(spread["labelSelector"], POD["metadata"]["labels"])


def test_its_lease_is_the_one_that_its_rights_name() -> None:
    role = the("Role")
    namespace = DEPLOYMENT["metadata"]["namespace"]

    (named,) = [rule["resourceNames"] for rule in role["rules"] if "resourceNames" in rule]
    assert f"--lease=$(POD_NAMESPACE)/{named[0]}" in CONTAINER["args"]
    assert role["metadata"]["namespace"] == the("RoleBinding")["metadata"]["namespace"] == namespace


def test_it_is_restricted_beyond_what_its_namespace_asks_for() -> None:
    assert the("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert POD["spec"]["securityContext"]["runAsUser"] == 65532
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"] is True
    assert "volumes" not in POD["spec"]
    assert CONTAINER["resources"]["limits"]["memory"]


def test_its_token_is_for_its_own_pod_alone() -> None:
    account = the("ServiceAccount")

    assert account["automountServiceAccountToken"] is False
    assert POD["spec"]["automountServiceAccountToken"] is True
    assert POD["spec"]["serviceAccountName"] == account["metadata"]["name"]


def test_it_does_not_take_its_own_pod_for_a_worker() -> None:
    assert MANAGED_BY not in POD["metadata"]["labels"]


def test_what_selects_its_pod_does() -> None:
    labels = POD["metadata"]["labels"]

    assert matches(DEPLOYMENT["spec"]["selector"], labels)
    assert matches({"matchLabels": the("Service")["spec"]["selector"]}, labels)
    assert matches(the("PodDisruptionBudget")["spec"]["selector"], labels)
    assert matches(the("NetworkPolicy")["spec"]["podSelector"], labels)


def test_a_node_can_be_drained() -> None:
    budget = the("PodDisruptionBudget")["spec"]

    assert budget["maxUnavailable"] == 1
    assert "minAvailable" not in budget


def test_one_port_all_the_way() -> None:
    (declared,) = CONTAINER["ports"]
    (served,) = the("Service")["spec"]["ports"]
    (opened,) = the("NetworkPolicy")["spec"]["ingress"][0]["ports"]

    assert declared == {"name": "metrics", "containerPort": DEFAULT_PORT}
    assert (served["name"], served["targetPort"]) == ("metrics", "metrics")
    assert opened["port"] == DEFAULT_PORT
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        assert CONTAINER[probe]["httpGet"]["port"] == "metrics"


def test_it_stands_apart_from_the_crds() -> None:
    assert "CustomResourceDefinition" not in {document["kind"] for document in documents("install.yaml")}
    assert {document["kind"] for document in documents("crds.yaml")} == {"CustomResourceDefinition"}


@pytest.mark.parametrize(
    "role", [d for d in documents("install.yaml") if "rules" in d], ids=lambda d: d["metadata"]["name"]
)
def test_no_secrets_no_wildcards(role: dict[str, list[dict[str, list[str]]]]) -> None:
    for rule in role["rules"]:
        words = [word for part in rule.values() for word in part]
        assert "*" not in words
        assert "secrets" not in words
