"""The chart installs what kustomize makes of the manifests, and each value changes what its comment says."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.manifests.chart import (
    CHART,
    KUBERNETES,
    SYSTEM,
    Key,
    Refused,
    changes,
    rendered,
    run,
    shipped,
)
from tests.manifests.shipped import JSON, the
from tidbbackup import __version__
from tidbbackup.arguments import parser

# Helm is built by the set-up of the end-to-end tests; no node is needed.
pytestmark = pytest.mark.e2e

DEPLOYMENT: Key = ("Deployment", SYSTEM, "tidbbackup-controller")
POD = ".spec.template.spec"
CONTAINER = f"{POD}.containers[0]"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


def differences(values: JSON) -> dict[str, Any]:
    """What values change in the whole of what is installed: `Kind/name.path`, and what stands there."""
    before, after = rendered(), rendered(values)
    return {
        f"{key[0]}/{key[2]}{path}": what
        for key in before.keys() | after.keys()
        for path, what in changes(before.get(key), after.get(key)).items()
    }


def of_the_deployment(found: dict[str, Any]) -> dict[str, Any]:
    """The same of the Deployment, and nothing else may be changed."""
    prefix = f"{DEPLOYMENT[0]}/{DEPLOYMENT[2]}"
    assert all(path.startswith(prefix) for path in found)
    return {path.removeprefix(prefix): what for path, what in found.items()}


def test_by_default_it_is_install_yaml() -> None:
    wanted = {key: each for key, each in shipped("default").items() if key[0] != "Namespace"}

    assert rendered() == wanted


def test_its_crds_are_those_of_kustomize_and_stay_when_the_release_goes() -> None:
    found = {key: each for key, each in rendered({"crds": {}}).items() if key not in rendered()}

    assert len(found) == 3
    for each in found.values():
        assert each["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert found == shipped("crd")


def test_the_crds_can_be_left_to_somebody_else() -> None:
    without = rendered({"crds": {"install": False}})

    assert not [key for key in without if key[0] == "CustomResourceDefinition"]


def test_chosen_namespaces_are_those_of_kustomize() -> None:
    found = rendered({"namespaces": ["team-a", "team-b"]})

    wanted = {key: each for key, each in shipped("namespaced").items() if key[0] != "Namespace"}
    assert found == wanted


def test_monitoring_and_dashboard_are_those_of_kustomize() -> None:
    added = {"monitoring": {"enabled": True}, "dashboard": {"enabled": True}}

    found = {key: each for key, each in rendered(added).items() if key not in rendered()}

    assert found == shipped("monitoring")


def test_the_policy_is_that_of_kustomize() -> None:
    with_it = rendered({"policy": {"enabled": True}})

    found = {key: each for key, each in with_it.items() if key not in rendered()}

    assert found == shipped("policy")


def test_another_namespace_is_the_only_difference_there() -> None:
    everything = {name: {"enabled": True} for name in ("monitoring", "dashboard", "policy")}
    here, elsewhere = rendered(everything), rendered(everything, namespace="elsewhere")

    assert json.loads(json.dumps([*here.values()]).replace(SYSTEM, "elsewhere")) == [*elsewhere.values()]


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ({"repository": "registry.example/a"}, f"registry.example/a:{__version__}"),
        ({"tag": "7"}, "tidbbackup:7"),
        ({"tag": "7", "digest": "sha256:" + "0" * 64}, "tidbbackup@sha256:" + "0" * 64),
    ],
)
def test_the_image_is_that_of_the_workers_too(image: dict[str, str], name: str) -> None:
    assert of_the_deployment(differences({"image": image})) == {
        f"{CONTAINER}.image": name,
        f"{CONTAINER}.env[1].value": name,
    }


def test_the_pull_policy_is_that_of_the_workers_too() -> None:
    found = of_the_deployment(differences({"image": {"pullPolicy": "Always"}}))

    words = found.pop(f"{CONTAINER}.args")
    assert found == {f"{CONTAINER}.imagePullPolicy": "Always"}
    assert parser().parse_args(["controller", words[-1]]).worker_pull_policy == "Always"


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("replicas", 1, ".spec.replicas"),
        ("replicas", 0, ".spec.replicas"),
        ("imagePullSecrets", [{"name": "registry"}], f"{POD}.imagePullSecrets"),
        ("nodeSelector", {"disk": "fast"}, f"{POD}.nodeSelector"),
        ("tolerations", [{"key": "backup", "operator": "Exists"}], f"{POD}.tolerations"),
        ("affinity", {"nodeAffinity": {}}, f"{POD}.affinity"),
        ("priorityClassName", "system-cluster-critical", f"{POD}.priorityClassName"),
        ("podAnnotations", {"a": "b"}, ".spec.template.metadata.annotations"),
    ],
)
def test_a_value_changes_one_field_of_the_deployment(name: str, value: Any, path: str) -> None:
    assert of_the_deployment(differences({name: value})) == {path: value}


def test_labels_of_the_pod_come_beside_its_own() -> None:
    assert of_the_deployment(differences({"podLabels": {"team": "db"}})) == {
        ".spec.template.metadata.labels.team": "db"
    }


def test_resources_are_changed_one_by_one() -> None:
    assert of_the_deployment(differences({"resources": {"limits": {"memory": "1Gi"}}})) == {
        f"{CONTAINER}.resources.limits.memory": "1Gi"
    }


def test_arguments_are_added_to_those_of_the_deployment() -> None:
    added = ["--log-level=debug", "--log-format=human", "--workers=32", "--max-running-per-server=2"]

    (words,) = of_the_deployment(differences({"extraArgs": added})).values()

    assert words[: -len(added)] == the("Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
    options = parser().parse_args(["controller", *words[-len(added) :]])
    assert (options.log_level, options.log_format, options.workers) == ("debug", "human", 32)


def test_every_flag_of_the_controller_is_the_charts_own_or_may_be_added(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["controller", "--help"])
    flags = set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    pattern = SCHEMA["properties"]["extraArgs"]["items"]["pattern"]

    added = {
        flag
        for flag in flags
        if any(re.search(pattern, f"{flag}={value}") for value in ("1", "info", "json"))
    }

    assert flags - added == {
        *("--help", "--kubeconfig", "--context", "--metrics-host", "--metrics-port", "--no-leader-elect"),
        *("--namespaces", "--worker-image", "--worker-pull-policy", "--lease"),
    }


def test_network_policy_and_roles_of_users_can_be_left_out() -> None:
    assert differences({"networkPolicy": {"enabled": False}, "userRoles": {"enabled": False}}) == {
        "NetworkPolicy/tidbbackup-controller": None,
        "ClusterRole/tidbbackup-view": None,
        "ClusterRole/tidbbackup-edit": None,
    }


def test_monitors_and_rules_get_the_label_by_which_they_are_selected() -> None:
    found = rendered({"monitoring": {"enabled": True, "labels": {"release": "prometheus"}}})

    monitors = [each for key, each in found.items() if key not in rendered()]
    assert len(monitors) == 3
    assert all(each["metadata"]["labels"]["release"] == "prometheus" for each in monitors)


def test_runbooks_are_where_people_read_them() -> None:
    values = {"monitoring": {"enabled": True, "runbooks": "https://wiki.example.com/r"}}

    rules = rendered(values)["PrometheusRule", SYSTEM, "tidbbackup"]["spec"]["groups"][0]["rules"]

    assert rules
    for rule in rules:
        assert rule["annotations"]["runbook_url"] == f"https://wiki.example.com/r/{rule['alert']}.md"


def test_the_dashboard_gets_the_label_of_the_sidecar() -> None:
    found = rendered({"dashboard": {"enabled": True, "labels": {"grafana_dashboard": None, "mine": "yes"}}})

    dashboard = found["ConfigMap", SYSTEM, "tidbbackup-dashboard"]
    assert dashboard["metadata"]["labels"] == {"mine": "yes"}


def test_lists_of_the_policy_are_replaced_one_by_one() -> None:
    shipped_lists = the("ConfigMap", "policy/allowed.yaml")["data"]
    values = {"policy": {"enabled": True, "allowed": {"secrets": ["a", "b"], "hosts": []}}}

    lists = rendered(values)["ConfigMap", SYSTEM, "tidbbackup-allowed"]["data"]

    assert lists == shipped_lists | {"secrets": "a,b", "hosts": ""}
    allowed = SCHEMA["properties"]["policy"]["properties"]["allowed"]
    assert allowed["properties"].keys() == shipped_lists.keys()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replica": 1}, "'replica' not allowed"),
        ({"image": {"registry": "a"}}, "'registry' not allowed"),
        ({"image": {"digest": "sha256:12"}}, "/image/digest"),
        ({"image": {"pullPolicy": "always"}}, "/image/pullPolicy"),
        ({"replicas": "two"}, "/replicas"),
        ({"namespaces": ["Team_A"]}, "/namespaces/0"),
        ({"namespaces": "team-a"}, "/namespaces"),
        ({"extraArgs": ["--lease=a/b"]}, "/extraArgs/0"),
        ({"podLabels": {"app.kubernetes.io/name": "mine"}}, "propertyName 'app.kubernetes.io/name'"),
        ({"policy": {"allowed": {"secret": ["a"]}}}, "'secret' not allowed"),
        ({"policy": {"allowed": {"secrets": ["a,b"]}}}, "/policy/allowed/secrets/0"),
        ({"monitoring": {"runbooks": "wiki"}}, "/monitoring/runbooks"),
    ],
    ids=json.dumps,
)
def test_a_wrong_value_is_named(values: JSON, said: str) -> None:
    with pytest.raises(Refused, match=re.escape(said)):
        rendered(values)


def test_every_value_is_in_the_schema_and_closed() -> None:
    def is_closed(schema: JSON, values: JSON) -> None:
        assert schema["additionalProperties"] is False
        assert values.keys() <= schema["properties"].keys()
        for name, value in values.items():
            if "properties" in schema["properties"][name] and isinstance(value, dict):
                is_closed(schema["properties"][name], value)

    is_closed(SCHEMA, VALUES)
    assert SCHEMA["properties"].keys() - VALUES.keys() == {"global"}


def test_lint_finds_nothing() -> None:
    said = run("lint", CHART, "--strict", KUBERNETES)

    assert "0 chart(s) failed" in said
    assert "WARNING" not in said


def test_its_version_is_the_programs() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_a_cluster_that_is_too_old_is_refused() -> None:
    with pytest.raises(Refused, match=r"kubeVersion: >=1\.29\.0-0"):
        run("template", "a-release", CHART, "--kube-version=1.28.0")
