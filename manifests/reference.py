"""The page docs/reference/api.md: every field of the CRDs, from their schemas. Written by `make crds`.

Must not have a text of its own about a field.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tidbbackup.model.resource.backup import ONLY_FOR_BR
from tidbbackup.model.resource.pod_settings import PodSettings

_COMMON = {*PodSettings.__annotations__, *ONLY_FOR_BR}
_HEAD = """# API reference: pingcap.com/v1alpha1

Generated from tidbbackup/model by `make crds`; do not edit. `kubectl explain backup.spec` shows the same.
Items of a list are written as `field[]`. Fields "of Kubernetes" are copied into the pod as they are.
"""


def page(crds: list[dict[str, Any]]) -> str:
    """The page in Markdown."""
    return "\n".join([_HEAD, *(line for crd in crds for line in _kind(crd))])


def _kind(crd: dict[str, Any]) -> Iterator[str]:
    names = crd["spec"]["names"]
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    yield f"## {names['kind']}\n"
    yield f"{schema['description']}\n"
    yield f"`kubectl get {names['plural']}.{crd['spec']['group']}`, short name `{names['shortNames'][0]}`.\n"
    for part in ("spec", "status"):
        yield f"### {names['kind']}: {part}\n"
        yield "| field | type | meaning |"
        yield "|---|---|---|"
        yield from _fields(schema["properties"][part], "")
        yield ""


def _fields(schema: dict[str, Any], prefix: str) -> Iterator[str]:
    # What all kinds have in common stands behind what is special to one.
    fields = sorted(schema["properties"].items(), key=lambda each: each[0] in _COMMON)
    for name, field in fields:
        if name == "backupTemplate":
            yield f"| `{name}` | object | {field['description']} Its fields are those of a Backup's spec. |"
            continue
        required = " Required." if name in schema.get("required", []) else ""
        meaning = f"{field['description']}{required}{_limits(field)}".replace("|", "\\|")
        yield f"| `{prefix}{name}` | {_type(field)} | {meaning} |"
        if "properties" in field:
            yield from _fields(field, f"{prefix}{name}.")
        elif "properties" in field.get("items", {}):
            yield from _fields(field["items"], f"{prefix}{name}[].")


def _type(field: dict[str, Any]) -> str:
    items = field.get("items", {})
    if field.get("x-kubernetes-preserve-unknown-fields"):
        return "object of Kubernetes"
    if items.get("x-kubernetes-preserve-unknown-fields"):
        return "list of Kubernetes"
    if field["type"] == "array":
        return f"list of {items['type']}s"
    if "additionalProperties" in field:
        return "map of strings"
    return "time" if field.get("format") == "date-time" else str(field["type"])


def _limits(field: dict[str, Any]) -> str:
    said = ""
    if "enum" in field:
        said += f" One of {', '.join(f'`{each}`' for each in field['enum'] if each is not None)}."
    if "default" in field:
        said += f" Default: `{json.dumps(field['default']).strip(chr(34))}`."
    return said
