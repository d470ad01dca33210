"""What the API server would refuse, without an API server: the CRDs' own schemas, as JSON Schema.

Must not have a rule of its own. Unknown fields, which kubectl refuses, are refused too.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from tidbbackup.decide.problem import Problem, did_you_mean
from tidbbackup.metadata_schema import METADATA
from tidbbackup.model.resource.backup import KIND as BACKUP
from tidbbackup.model.resource.restore import KIND as RESTORE
from tidbbackup.model.resource.schedule import KIND as SCHEDULE
from tidbbackup.model.resource.schema import backup_crd, restore_crd, schedule_crd

# The B of bytes, which Kubernetes' quantities do not have.
_BYTES = re.compile(r"([0-9.]+[kKMGTPE]i?)B")
_CRDS = {BACKUP: backup_crd, SCHEDULE: schedule_crd, RESTORE: restore_crd}


def schema_problems(kind: str, value: dict[str, Any]) -> tuple[Problem, ...]:
    """What the schema of this kind refuses in the object, in the order of its paths."""
    crd = _CRDS[kind]()
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema = schema | {"properties": schema["properties"] | {"metadata": METADATA}}
    errors = Draft202012Validator(_strict(schema)).iter_errors(value)
    return tuple(sorted((problem for error in errors for problem in _problems(error)), key=str))


def without(value: dict[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """A copy of the object without what stands at these paths of problems."""
    copy = json.loads(json.dumps(value))
    for path in paths:
        *above, last = [int(step) if step.isdecimal() else step for step in re.findall(r"[^.\[\]]+", path)]
        part = copy
        with contextlib.suppress(LookupError, TypeError):
            for step in above:
                part = part[step]
            # An item stays in its place, so that the paths after it stay true.
            part[last] = None
    return dict(copy)


def _problems(error: ValidationError) -> Iterator[Problem]:
    path = _path(error)
    expected: Any = error.validator_value
    instance: Any = error.instance
    if error.validator == "additionalProperties":
        schema: Any = error.schema
        for name in sorted(map(str, set(instance) - set(schema["properties"]))):
            near = did_you_mean(name, schema["properties"])
            yield Problem(f"{path}.{name}".lstrip("."), None, f"no such field{near}")
    elif error.validator == "required":
        for name in expected:
            if name not in instance:
                yield Problem(f"{path}.{name}".lstrip("."), None, "is missing")
    else:
        yield Problem(path, instance, _cure(error))


def _cure(error: ValidationError) -> str:
    expected: Any = error.validator_value
    schema: Any = error.schema
    match error.validator:
        case "type":
            kind = expected if isinstance(expected, str) else expected[0]
            unquoted = kind == "string" and isinstance(error.instance, bool | int | float)
            return f"must be of type {kind}" + (": write it in quotes" if unquoted else "")
        case "enum":
            words = [str(value) for value in expected if value is not None]
            return f"write one of {', '.join(words)}{did_you_mean(str(error.instance), words)}"
        case "minimum" | "maximum":
            bounds = [schema.get(bound) for bound in ("minimum", "maximum")]
            low, high = ("" if bound is None else str(bound) for bound in bounds)
            return f"write a number from {low} to {high}" if high else f"write a number from {low} up"
        case "maxLength" | "maxItems" | "maxProperties":
            return f"is too long: {expected} at the most"
        case "pattern":
            size = _BYTES.fullmatch(str(error.instance))
            near = f"; did you mean {size[1]}?" if size else ""
            return str(schema.get("cure", f"write a quantity such as 10Gi{near}"))
        case _:
            return error.message


def _path(error: ValidationError) -> str:
    path = ""
    for step in error.absolute_path:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.lstrip(".")


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema as JSON Schema: nullable as a type, and no unknown fields."""
    strict = {
        name: value for name, value in schema.items() if not name.startswith("x-") and name != "nullable"
    }
    if schema.get("nullable") or "default" in schema:
        # The API server removes a null if there is a default, before it checks the type.
        strict["type"] = [schema["type"], "null"]
        if "enum" in schema:
            strict["enum"] = [*schema["enum"], None]
    if "properties" in schema:
        strict["properties"] = {name: _strict(value) for name, value in schema["properties"].items()}
        strict["additionalProperties"] = False
    if "items" in schema:
        strict["items"] = _strict(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        # The API server takes out what is left empty in a map.
        strict["additionalProperties"] = _strict(schema["additionalProperties"] | {"nullable": True})
    return strict
