"""Pods that run to their end, and what their status has to say then. Data only.

`SAY` prints to the termination log, of which every pod here takes the path from its environment.
"""

from typing import Any

from attrs import field, frozen

from tests.cluster.api import JSON

LOG = {"name": "TERMINATION_LOG", "value": "/dev/termination-log"}


@frozen(eq=False)
class Scenario:
    """A pod (a script for `sh -c`, and the rest of its spec) and the end it has to come to.

    `message` is the whole termination message; None: there is none.
    """

    name: str
    script: str
    phase: str = "Succeeded"
    exit_code: int = 0
    reason: str = "Completed"
    message: str | None = None
    env: tuple[JSON, ...] = ()
    pod: JSON = field(factory=dict)
    objects: tuple[tuple[str, JSON], ...] = ()


def secret(name: str, **data: str) -> tuple[str, JSON]:
    """A Secret to create beforehand."""
    return "secrets", {"metadata": {"name": name}, "stringData": data}


def config_map(name: str, **data: str) -> tuple[str, JSON]:
    """A ConfigMap to create beforehand."""
    return "configmaps", {"metadata": {"name": name}, "data": data}


def value(name: str, text: str) -> JSON:
    """A variable with its value."""
    return {"name": name, "value": text}


def of(name: str, **value_from: Any) -> JSON:
    """A variable from somewhere else."""
    return {"name": name, "valueFrom": value_from}


def mounted(**volume: Any) -> JSON:
    """One volume at /mnt/v, for the container and the pod."""
    return {
        "volumes": [{"name": "v", **volume}],
        "volumeMounts": [{"name": "v", "mountPath": "/mnt/v"}],
    }


_MOUNT = value("MOUNT", "/mnt/v")
_CLAIM = {
    "accessModes": ["ReadWriteOnce"],
    "storageClassName": "local-storage",
    "resources": {"requests": {"storage": "1Gi"}},
}
_TOKEN = {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}}
_LABELS = {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}
_ROOT_CA = {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
_MAKE_FILE = {"name": "first", "command": ["sh", "-c", 'printf made > "$MOUNT/file"'], "env": [_MOUNT]}

ENDS = (
    Scenario("exit-zero", "exit 0"),
    Scenario("exit-code", "exit 3", phase="Failed", exit_code=3, reason="Error"),
    Scenario(
        "signal",
        "exec python3 -c 'import ctypes; ctypes.string_at(0)'",
        phase="Failed",
        exit_code=139,
        reason="Error",
    ),
)

MESSAGES = (
    Scenario("message", 'printf "it is done" > "$TERMINATION_LOG"', message="it is done"),
    Scenario(
        "message-of-a-failure",
        'printf "no luck" > "$TERMINATION_LOG"; exit 1',
        phase="Failed",
        exit_code=1,
        reason="Error",
        message="no luck",
    ),
    Scenario(
        "message-too-long",
        """python3 -c 'print("a" * 100 + "b" * 4096, end="")' > "$TERMINATION_LOG" """,
        message="b" * 4096,
    ),
    Scenario(
        "message-elsewhere",
        'printf "over here" > "$ELSEWHERE"',
        message="over here",
        env=(value("ELSEWHERE", "/tmp/my-log"),),
        pod={"terminationMessagePath": "/tmp/my-log"},
    ),
    Scenario("output-is-no-message", "echo spoken; exit 1", phase="Failed", exit_code=1, reason="Error"),
    Scenario(
        "fallback-to-logs",
        "echo first; echo last; exit 1",
        phase="Failed",
        exit_code=1,
        reason="Error",
        message="first\nlast\n",
        pod={"terminationMessagePolicy": "FallbackToLogsOnError"},
    ),
    Scenario(
        "no-fallback-without-failure",
        "echo spoken",
        pod={"terminationMessagePolicy": "FallbackToLogsOnError"},
    ),
)

ENVIRONMENTS = (
    Scenario(
        "env-expansion",
        'printf "%s|%s|%s" "$A" "$B" "$C" > "$TERMINATION_LOG"',
        message="one|one two|$(LATER) $(A) $",
        env=(value("A", "one"), value("B", "$(A) two"), value("C", "$(LATER) $$(A) $"), value("LATER", "x")),
    ),
    Scenario(
        "env-of-secret",
        'printf "%s" "$PASSWORD" > "$TERMINATION_LOG"',
        message="a $(A) 'b' \"c\" \\ é\n",
        env=(value("A", "x"), of("PASSWORD", secretKeyRef={"name": "quoted", "key": "password"})),
        objects=(secret("quoted", password="a $(A) 'b' \"c\" \\ é\n"),),
    ),
    Scenario(
        "env-optional",
        'printf "%s" "${A-unset} ${B-unset}" > "$TERMINATION_LOG"',
        message="unset unset",
        env=(
            of("A", secretKeyRef={"name": "nowhere", "key": "k", "optional": True}),
            of("B", configMapKeyRef={"name": "nowhere", "key": "k", "optional": True}),
        ),
    ),
    Scenario(
        "env-from",
        'printf "%s %s %s" "$P_one" "$two" "$three" > "$TERMINATION_LOG"',
        message="1 2 mine",
        env=(value("three", "mine"),),
        pod={
            "envFrom": [{"prefix": "P_", "secretRef": {"name": "many"}}, {"configMapRef": {"name": "more"}}]
        },
        objects=(secret("many", one="1"), config_map("more", two="2", three="3")),
    ),
    Scenario(
        "env-of-pod",
        'printf "%s %s %s %s %s" "$NS" "$ACCOUNT" "$LABEL" "$NOTE" "$CPU" > "$TERMINATION_LOG"',
        message="contract default l n 2",
        env=(
            of("NS", fieldRef={"fieldPath": "metadata.namespace"}),
            of("ACCOUNT", fieldRef={"fieldPath": "spec.serviceAccountName"}),
            of("LABEL", fieldRef={"fieldPath": "metadata.labels['test/l']"}),
            of("NOTE", fieldRef={"fieldPath": "metadata.annotations['n']"}),
            of("CPU", resourceFieldRef={"resource": "limits.cpu"}),
        ),
        pod={
            "metadata": {"labels": {"test/l": "l"}, "annotations": {"n": "n"}},
            "resources": {"limits": {"cpu": "1500m"}},
        },
    ),
    Scenario(
        "args",
        'printf "%s" "$0 $1" > "$TERMINATION_LOG"',
        message="one $(TWO)",
        env=(value("ONE", "one"),),
        pod={"args": ["$(ONE)", "$$(TWO)"]},
    ),
)

VOLUMES = (
    Scenario(
        "empty-dirs",
        'echo x > "$MOUNT/f"; echo y > "$RAM/f"; cat "$MOUNT/f" "$RAM/f" > "$TERMINATION_LOG"',
        message="x\ny\n",
        env=(_MOUNT, value("RAM", "/mnt/ram")),
        pod={
            "volumes": [{"name": "v", "emptyDir": {}}, {"name": "ram", "emptyDir": {"medium": "Memory"}}],
            "volumeMounts": [
                {"name": "v", "mountPath": "/mnt/v"},
                {"name": "ram", "mountPath": "/mnt/ram"},
            ],
        },
    ),
    Scenario(
        "init-container",
        'cat "$MOUNT/file" > "$TERMINATION_LOG"',
        message="made",
        env=(_MOUNT,),
        pod={**mounted(emptyDir={}), "initContainers": [_MAKE_FILE]},
    ),
    Scenario(
        "secret-volume",
        'cd "$MOUNT"; { cat in/a; stat -L -c " %a" in/a; } > "$TERMINATION_LOG"; test ! -e b',
        message="1 400\n",
        env=(_MOUNT,),
        pod=mounted(
            secret={"secretName": "mounted", "defaultMode": 0o400, "items": [{"key": "a", "path": "in/a"}]}
        ),
        objects=(secret("mounted", a="1", b="2"),),
    ),
    Scenario(
        "optional-secret-volume",
        'ls "$MOUNT" > "$TERMINATION_LOG"',
        env=(_MOUNT,),
        pod=mounted(secret={"secretName": "nowhere", "optional": True}),
    ),
    Scenario(
        "config-map-volume",
        'cat "$MOUNT/a" "$MOUNT/b" > "$TERMINATION_LOG"',
        message="12",
        env=(_MOUNT,),
        pod=mounted(configMap={"name": "mounted"}),
        objects=(config_map("mounted", a="1", b="2"),),
    ),
    Scenario(
        "projected-volume",
        'cd "$MOUNT"; { grep -c BEGIN ca.crt; grep -o test.l= labels; } > "$TERMINATION_LOG"\n'
        'test "$(tr -dc . < token)" = ..',
        message="1\ntest/l=\n",
        env=(_MOUNT,),
        pod={
            **mounted(projected={"sources": [_TOKEN, _LABELS, _ROOT_CA]}),
            "metadata": {"labels": {"test/l": "l"}},
        },
    ),
    Scenario(
        "ephemeral-claim",
        'test -z "$(ls "$MOUNT")"; echo there > "$MOUNT/f"; cat "$MOUNT/f" > "$TERMINATION_LOG"',
        message="there\n",
        env=(_MOUNT,),
        pod=mounted(ephemeral={"volumeClaimTemplate": {"spec": _CLAIM}}),
    ),
)
