"""Reads a file as kubectl does: by the rules of the Go library behind it, which differ from PyYAML's.

There are no times and no base 60, 017 is octal, and `<<` overrides what stands before it.
Must not know what the documents mean.
"""

from __future__ import annotations

import base64
import codecs
import contextlib
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import yaml
from attrs import frozen

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_WORDS: dict[Any, str] = {True: "y yes true on", False: "n no false off", None: "null"}
_WORDS |= {math.inf: ".inf +.inf", -math.inf: "-.inf", math.nan: ".nan"}
_CONSTANTS = {
    spelt: value
    for value, names in _WORDS.items()
    for name in names.split()
    for spelt in (name, name.upper(), name.title())
} | {"": None, "~": None, ".NaN": math.nan}
_OCTAL = re.compile(r"^([-+]?0)(?=[0-7])")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INT64 = range(-(2**63), 2**63)


class NotYaml(ValueError):
    """What kubectl cannot read either; the message says where and why."""


@frozen
class Read:
    """One value in a file."""

    value: Any
    twice: list[str]
    """The paths of the fields that stand twice in the same object. kubectl silently takes the last one."""
    lines: dict[str, int]
    """The line in the file of each path, such as spec.s3.bucket or items[0]; of JSON there are none."""


def read(data: bytes) -> Iterator[Read]:
    """The values in a file; null ones are left out. Raises NotYaml."""
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    text = data[len(mark) :].decode(_MARKS.get(mark, "utf-8"), "replace")
    found, begin = _json_values(text)
    yield from (Read(value, [], {}) for value in found if value is not None)
    for line, chunk in _chunks(text[begin:], text.count("\n", 0, begin) + 1):
        try:
            loader = _Loader(chunk.encode())
            document = _Document(line, len(chunk))
            value = document.value(loader.get_node()) if loader.check_node() else None
        except yaml.MarkedYAMLError as error:
            where = error.problem_mark.line if error.problem_mark else 0
            hint = " (is its indentation right?)" if "expected" in str(error.problem) else ""
            raise NotYaml(f"line {line + where}: {error.problem}{hint}") from error
        except yaml.YAMLError as error:
            raise NotYaml(" ".join(str(error).split())) from error
        except RecursionError:
            raise NotYaml(f"line {line}: nested too deep, or an alias that contains itself") from None
        if value is not None:
            yield Read(value, document.twice, document.lines)


def _json_values(text: str) -> tuple[list[Any], int]:
    """The JSON values that the text begins with, and where they end: what follows a first one may be YAML."""
    decoder = json.JSONDecoder(parse_int=_number, parse_float=_number, parse_constant=int)  # int refuses NaN.
    found: list[Any] = []
    rest = text.lstrip()
    if not rest.startswith("{"):
        return found, 0
    try:
        while rest:
            value, end = decoder.raw_decode(rest)
            found.append(value)
            rest = rest[end:].lstrip()
    except (ValueError, RecursionError) as error:
        if len(found) > 1:
            raise NotYaml(f"value {len(found) + 1} is not JSON: {error}") from error
    return found, len(text) - len(rest)


def _chunks(text: str, line: int) -> Iterator[tuple[int, str]]:
    """The parts between the lines that begin with ---, each with the number of its first line."""
    begin, held = line, list[str]()
    for number, row in enumerate(text.replace("\r\n", "\n").split("\n"), line):
        if row.startswith("---"):
            if row[3:].strip() and not row[3:].lstrip().startswith("#"):
                raise NotYaml(f"line {number}: write nothing behind --- but a comment")
            if held:
                yield begin, "\n".join(held)
                begin, held = number + 1, []
                continue
        held.append(row)
    yield begin, "\n".join(held)


class _Loader(yaml.CSafeLoader):
    """libyaml, which the Go library was made from; what has neither quotes nor a tag gets the tag `plain`."""


_Loader.yaml_implicit_resolvers = {None: [("plain", re.compile(""))]}


class _Document:
    """Reads one document; `twice` and `lines` are as in Read."""

    def __init__(self, first_line: int, size: int) -> None:
        self.twice: list[str] = []
        self.lines: dict[str, int] = {}
        self._first_line = first_line
        self._left = min(100 * size, size + 400_000)

    def value(self, node: Any, path: str = "") -> Any:
        """The value of a node. Raises yaml.MarkedYAMLError."""
        self.lines.setdefault(path, self._first_line + node.start_mark.line)
        self._left -= 1
        if not self._left:
            raise _wrong(node, "aliases make it too large")
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [
                _as_json(self.value(each, f"{path}[{number}]"), each)
                for number, each in enumerate(node.value)
            ]
        return self._object(node, path)

    def _object(self, node: Any, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        written = set()
        for name, member in node.value:
            inside = f"{path}.{name.value}".lstrip(".")
            self.lines[inside] = self._first_line + name.start_mark.line
            value = _as_json(self.value(member, inside), member)
            if name.value == "<<" and name.tag == "plain":
                for each in reversed(value if isinstance(value, list) else [value]):
                    if not isinstance(each, dict):
                        raise _wrong(member, "write an object, or a list of objects, behind <<")
                    found |= each
                continue
            key = _key(self.value(name, inside), name)
            if key in written:
                self.twice.append(inside)
            written.add(key)
            found[key] = value
        return found


def _scalar(node: Any) -> Any:
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind in ("plain", "null", "bool", "int", "float"):
        value = _plain(node.value)
        if isinstance(value, str) and kind != "plain":
            raise _wrong(node, f"{value} is no {kind}")
        return value
    if kind != "binary":
        return node.value
    try:
        return base64.b64decode(node.value.replace("\n", ""), validate=True).decode("utf-8", "replace")
    except ValueError as error:
        raise _wrong(node, f"not base64: {error}") from error


def _plain(text: str) -> Any:
    """What a text without quotes means."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    number = text.replace("_", "") if text[0] in "+-0123456789" else text
    with contextlib.suppress(ValueError):
        whole = int(_OCTAL.sub(r"\1o", number), 0)
        if number.isascii() and -(2**63) <= whole < 2**64:
            return whole
    if _FLOAT.fullmatch(number) and math.isfinite(float(number)):
        return float(number)
    return text


def _as_json(value: Any, node: Any = None) -> Any:
    """As it comes out of JSON: a whole number that fits into 64 bits is an integer, another one a float."""
    if isinstance(value, float) and not math.isfinite(value):
        raise _wrong(node, f"{value} is no value in Kubernetes")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return float(value) if isinstance(value, int) and value not in _INT64 else value


def _number(text: str) -> Any:
    return _as_json(_plain(text))


def _key(value: Any, node: Any) -> str:
    """The name of a field as kubectl writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return re.sub("(inf|nan)", r".\1", f"{value:g}")
    if not isinstance(value, str | int):
        raise _wrong(node, "write a text as the name of a field")
    return str(value)


def _wrong(node: Any, why: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=why, problem_mark=node.start_mark)
