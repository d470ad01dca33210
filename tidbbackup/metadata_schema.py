"""Kubernetes' rules for the metadata of every object, as a schema; CRDs must not have them in theirs.

`cure` is what a user is told where a pattern does not fit.
"""

from __future__ import annotations

from typing import Any

from tidbbackup.model.wire import NAME_LENGTH

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME = rf"{_LABEL}(\.{_LABEL})*"
_WORD = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
_KEY = rf"((?=[^/]{{1,{NAME_LENGTH}}}/){_NAME}/)?(?=[^/]{{1,63}}\Z){_WORD}"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[-+]\d\d:\d\d)"
_ENDS = "a letter or digit at both ends"
_KEY_CURE = f"write a key such as example.com/name: at most 63 letters, digits, -, _ and ., {_ENDS}"


def _text(pattern: str, cure: str, length: int = NAME_LENGTH) -> dict[str, Any]:
    return _TEXT | {"pattern": rf"^({pattern})\Z", "maxLength": length, "cure": cure}


_TEXT: dict[str, Any] = {"type": "string", "nullable": True}
_WHEN = _text(_TIME, "write a time such as 2026-11-29T03:00:00Z")
_INTEGER = {"type": "integer", "nullable": True}
_MAP: dict[str, Any] = {"type": "object", "nullable": True}
_LIST: dict[str, Any] = {"type": "array", "nullable": True}

METADATA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": _text(f"({_NAME})?", f"write lower case letters, digits, - and ., {_ENDS} of each part"),
        "generateName": _text(
            rf"(({_LABEL}\.)*[a-z0-9][-a-z0-9]*)?", "write lower case letters, digits and -"
        ),
        "namespace": _text(f"({_LABEL})?", f"write lower case letters, digits and -, {_ENDS}", 63),
        "labels": _MAP
        | {
            "propertyNames": _text(_KEY, _KEY_CURE, 317),
            "additionalProperties": _text(f"({_WORD})?", f"write letters, digits, -, _ and ., {_ENDS}", 63),
        },
        "annotations": _MAP
        | {
            "propertyNames": _text(f"(?i:{_KEY})", _KEY_CURE, 317),
            "additionalProperties": _TEXT,
        },
        "finalizers": _LIST | {"items": _text(_KEY, _KEY_CURE, 317)},
        "creationTimestamp": _WHEN,
        "deletionTimestamp": _WHEN,
        **dict.fromkeys(("uid", "resourceVersion", "selfLink"), _TEXT),
        **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), _INTEGER),
        # Nobody writes these by hand.
        **dict.fromkeys(("ownerReferences", "managedFields"), _LIST),
    },
}
