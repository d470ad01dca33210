"""Variables, expansion, and paths that become local."""

from pathlib import Path

import pytest

from tests.cluster.api import JSON

from .downward import PodFacts
from .environment import (
    ConfigError,
    Mounts,
    Source,
    Sources,
    command_line,
    expand,
    references,
    resolve_environment,
)

FACTS = PodFacts(
    pod={"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {"containers": [{"name": "c"}]}},
    pod_ip="127.1.2.3",
    host_ip="127.0.0.1",
    allocatable={},
)
SECRET = Source("secret", "s")
MAP = Source("configMap", "m")


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("$(A)", "1"),
        ("x$(A)y$(A)", "x1y1"),
        ("$(B)", "$(B)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(A", "$(A"),
        ("$A ${A} $", "$A ${A} $"),
        ("$()", "$()"),
        ("$(C)", "$(A)"),
    ],
)
def test_expand(text: str, expanded: str) -> None:
    """As the Kubernetes reference describes it; what is inserted is not expanded again."""
    assert expand(text, {"A": "1", "C": "$(A)"}) == expanded


def test_references_name_every_source_once() -> None:
    """Secrets and ConfigMaps of env and envFrom; other sources are none."""
    container = {
        "envFrom": [{"secretRef": {"name": "s"}}, {"configMapRef": {"name": "m"}}],
        "env": [
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "other", "key": "k"}}},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "D", "value": "v"},
        ],
    }
    assert references(container) == {SECRET, MAP, Source("configMap", "other")}


def test_later_variables_win_and_see_earlier_ones() -> None:
    """envFrom comes first, then env in its order."""
    container: JSON = {
        "name": "c",
        "envFrom": [{"prefix": "P_", "secretRef": {"name": "s"}}],
        "env": [
            {"name": "A", "value": "$(P_k) $(B)"},
            {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "C", "value": "$(B)"},
            {"name": "P_k", "value": "mine"},
        ],
    }
    assert resolve_environment(container, FACTS, {SECRET: {"k": b"theirs"}}) == {
        "P_k": "mine",
        "A": "theirs $(B)",
        "B": "127.1.2.3",
        "C": "127.1.2.3",
    }


def _env(**value_from: JSON) -> JSON:
    return {"name": "c", "env": [{"name": "A", "valueFrom": value_from}]}


@pytest.mark.parametrize(
    ("container", "sources", "message"),
    [
        (_env(secretKeyRef={"name": "s", "key": "k"}), {SECRET: None}, 'secret "s" not found'),
        (
            _env(secretKeyRef={"name": "s", "key": "k"}),
            {SECRET: {"other": b""}},
            "couldn't find key k in Secret ns/s",
        ),
        (_env(configMapKeyRef={"name": "m", "key": "k"}), {MAP: None}, 'configmap "m" not found'),
        (
            _env(configMapKeyRef={"name": "m", "key": "k"}),
            {MAP: {}},
            "couldn't find key k in ConfigMap ns/m",
        ),
        ({"name": "c", "envFrom": [{"secretRef": {"name": "s"}}]}, {SECRET: None}, 'secret "s" not found'),
        (_env(fieldRef={"fieldPath": "status.phase"}), {}, "unsupported fieldPath: status.phase"),
        (_env(fileKeyRef={"path": "x"}), {}, "unsupported valueFrom: fileKeyRef"),
    ],
)
def test_config_errors(container: JSON, sources: Sources, message: str) -> None:
    """The kubelet's words for what is missing."""
    with pytest.raises(ConfigError) as caught:
        resolve_environment(container, FACTS, sources)
    assert str(caught.value) == message


@pytest.mark.parametrize("data", [None, {}])
def test_optional_variable_is_left_out(data: dict[str, bytes] | None) -> None:
    """Optional and missing: the variable is not set at all."""
    container = _env(secretKeyRef={"name": "s", "key": "k", "optional": True})
    assert resolve_environment(container, FACTS, {SECRET: data}) == {}


def test_empty_value_is_set() -> None:
    """An empty key of a Secret is an empty variable, no missing one."""
    container = _env(secretKeyRef={"name": "s", "key": "k"})
    assert resolve_environment(container, FACTS, {SECRET: {"k": b""}}) == {"A": ""}


MOUNTS = Mounts({"/backup": Path("/t/v1"), "/backup/in": Path("/t/v2"), "/": Path("/t/root")})


@pytest.mark.parametrize(
    ("value", "local"),
    [
        ("/backup", "/t/v1"),
        ("/backup/", "/t/v1/"),
        ("/backup/a b", "/t/v1/a b"),
        ("/backup/in/x", "/t/v2/x"),
        ("/backups", "/t/root/backups"),
        ("backup", "backup"),
        ("", ""),
    ],
)
def test_local(value: str, local: str) -> None:
    """The longest mount path wins; only whole path segments count."""
    assert MOUNTS.local(value) == local


def test_command_line() -> None:
    """Expansion first, then local paths, also behind `--option=`."""
    mounts = Mounts({"/backup": Path("/t")})
    container = {
        "command": ["tool", "$(DIR)/x"],
        "args": ["--to=/backup", "--not-backup=x/backup", "a=/backup"],
    }
    assert command_line(container, ("unused",), {"DIR": "/backup"}, mounts.local) == [
        *("tool", "/t/x", "--to=/t", "--not-backup=x/backup", "a=/backup"),
    ]


def test_entrypoint_of_the_image() -> None:
    """Arguments alone go to the image's entrypoint; with neither there is nothing to run."""
    assert command_line({"args": ["a"]}, ("tool",), {}, str) == ["tool", "a"]
    assert command_line({}, (), {}, str) == []
