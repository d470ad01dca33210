"""Files that people write by hand, and what kubectl makes of each.

integration/test_check_as_kubectl.py asks kubectl; test_kubectl_yaml.py and test_offline.py need no server.
"""

import json
from typing import Any

from attrs import frozen

BASE = """apiVersion: pingcap.com/v1alpha1
kind: Backup
metadata:
  name: demo
  namespace: default
  annotations: {case: "CASE"}
spec:
  from: {host: tidb, secretName: db}
  s3: {provider: aws, bucket: my-bucket, secretName: s3}
"""
REFUSED = object()
"""kubectl takes no file with this in it."""

# What stands behind `v:`, and its value.
SCALARS: dict[str, Any] = {
    # Numbers.
    "1e9": 1000000000,
    "1e3": 1000,
    "1.5E+3": 1500,
    "1.0": 1,
    "1.": 1,
    ".5": 0.5,
    "-.5e1": -5,
    "0.10": 0.1,
    "1e400": "1e400",
    "1e": "1e",
    "0x1p4": "0x1p4",
    "017": 15,
    "-017": -15,
    "08": 8,
    "0o17": 15,
    "0x1F": 31,
    "-0X1f": -31,
    "0xg": "0xg",
    "0b101": 5,
    "0b12": "0b12",
    "1_000": 1000,
    "1_0.5": 10.5,
    "0x_1F": 31,
    "_1": "_1",
    "1,000": "1,000",
    "10Gi": "10Gi",
    "+1": 1,
    "-0": 0,
    "9223372036854775807": 9223372036854775807,
    "9223372036854775808": 9223372036854775808.0,
    "123456789012345678901234567890": 1.2345678901234568e29,
    ".inf": REFUSED,
    "-.Inf": REFUSED,
    ".nan": REFUSED,
    ".NaN": REFUSED,
    "inf": "inf",
    "NaN": "NaN",
    # Words.
    "y": True,
    "Y": True,
    "n": False,
    "on": True,
    "Off": False,
    "yes": True,
    "NO": False,
    "yEs": "yEs",
    "TRUE": True,
    "tRue": "tRue",
    "~": None,
    "Null": None,
    "nULL": "nULL",
    "": None,
    "'y'": "y",
    '"017"': "017",
    "<<": "<<",
    "=": "=",
    # Times.
    "2026-11-29": "2026-11-29",
    "2026-11-29T12:00:00Z": "2026-11-29T12:00:00Z",
    "2026-11-29 12:00:00": "2026-11-29 12:00:00",
    "12:30:00": "12:30:00",
    "1:30": "1:30",
    "190:20:30.15": "190:20:30.15",
    # Tags.
    "!!str 5": "5",
    "!!int '5'": 5,
    "!!float 5": 5,
    "!!bool yes": True,
    "!!int x": REFUSED,
    "!!binary aGVsbG8=": "hello",
    "!!binary '///='": "��",
    "!!timestamp 2026-11-29": "2026-11-29",
    "!mine bar": "bar",
    "!!set {a, b}": {"a": None, "b": None},
    # Names of fields.
    "{1: a, true: b, 1.5: c, 0x10: d, 1e9: e, 2026-01-01: f}": {
        "1": "a",
        "true": "b",
        "1.5": "c",
        "16": "d",
        "1e+09": "e",
        "2026-01-01": "f",
    },
    "{on: a, no: b, .inf: c}": {"true": "a", "false": "b", ".inf": "c"},
    "{~: 1}": REFUSED,
    "{[a]: 1}": REFUSED,
    "{a:1}": {"a:1": None},
    "{a: 1, a: 2}": {"a": 2},
    # Anchors and <<.
    "[&x {a: 1}, *x]": [{"a": 1}, {"a": 1}],
    "*x": REFUSED,
    "&x [*x]": REFUSED,
    "{<<: {a: 1}, a: 2}": {"a": 2},
    "{a: 2, <<: {a: 1}}": {"a": 1},
    "{<<: [{a: 1}, {a: 2, b: 3}]}": {"a": 1, "b": 3},
    "{'<<': {a: 1}}": {"<<": {"a": 1}},
    "{<<: 1}": REFUSED,
    "[&a [x,x,x,x,x,x,x,x,x]"
    + "".join(
        f", &{name} [{','.join([f'*{before}'] * 9)}]" for before, name in zip("abcdef", "bcdefg", strict=True)
    )
    + "]": REFUSED,
    # Texts.
    "a #b": "a",
    "a#b": "a#b",
    "a: b": REFUSED,
    "@a": REFUSED,
    "\ta": "a",
    "[1,\t2]": [1, 2],
    "[a, , b]": REFUSED,
    "|\n      a\n      b": "a\nb\n",
    ">-\n      a\n      b": "a b",
    '"a\\tb \\u263a"': "a\tb ☺",
    '"\\ud83d\\ude00"': REFUSED,
    "é\U0001f600": "é\U0001f600",
    "[" * 100 + "]" * 100: json.loads("[" * 100 + "]" * 100),
}


@frozen
class File:
    """A file, and whether kubectl takes all that is in it."""

    text: str
    taken: bool
    """By kubectl."""
    encoding: str
    twice: bool = False
    """A field stands twice: kubectl takes the last one, `check` refuses the file."""

    def data(self, case: str = "CASE") -> bytes:
        """Its bytes; `case` is in an annotation of each object."""
        return self.text.replace("CASE", case).encode(self.encoding)


def _file(text: str, *, taken: bool, encoding: str = "utf-8", twice: bool = False) -> File:
    return File(text, taken, encoding, twice)


def _with(change: str, *, taken: bool, at: str = "  namespace: default\n") -> File:
    """BASE with one line more, by default in its metadata."""
    return _file(BASE.replace(at, f"{at}  {change}\n", 1), taken=taken)


def _named(line: str, *, taken: bool) -> File:
    return _file(BASE.replace("name: demo", line, 1), taken=taken)


def _spec(line: str, *, taken: bool) -> File:
    return _with(line, taken=taken, at="spec:\n")


def _from(fields: str, *, taken: bool) -> File:
    return _file(BASE.replace("host: tidb", fields), taken=taken)


OBJECT = {
    "apiVersion": "pingcap.com/v1alpha1",
    "kind": "Backup",
    "metadata": {"name": "demo", "namespace": "default", "annotations": {"case": "CASE"}},
    "spec": {
        "from": {"host": "tidb", "secretName": "db"},
        "s3": {"provider": "aws", "bucket": "my-bucket", "secretName": "s3"},
    },
}
_JSON = json.dumps(OBJECT)
_OTHER = BASE.replace("demo", "other")
_ITEM = "- " + BASE.replace("\n", "\n  ").rstrip() + "\n"
_BARE_ITEM = _ITEM.replace("apiVersion: pingcap.com/v1alpha1\n  kind: Backup\n  ", "")
_UTF_16 = "\ufeff" + BASE.replace("\n", "\r\n") + "---\r\n" + _OTHER

FILES: dict[str, File] = {
    **{
        f"v: {text}"[:40]: _file(
            BASE.replace("spec:\n", f"spec:\n  cleanOption:\n    v: {text}\n", 1),
            taken=value is not REFUSED,
            twice=text == "{a: 1, a: 2}",
        )
        for text, value in SCALARS.items()
    },
    # Fields that have a type.
    "port 4e3": _from("host: tidb, port: 4e3", taken=True),
    "port 4_000": _from("host: tidb, port: 4_000", taken=True),
    "port 4000.0": _from("host: tidb, port: 4000.0", taken=True),
    "port 4000.5": _from("host: tidb, port: 4000.5", taken=False),
    "port in quotes": _from("host: tidb, port: '4000'", taken=False),
    "port huge": _from("host: tidb, port: 99999999999999999999999", taken=False),
    "host n": _from("host: n", taken=False),
    "host 1e9": _from("host: 1e9", taken=False),
    "host null": _from("host:", taken=False),
    "host twice": _file(BASE.replace("host: tidb", "host: other, host: tidb"), taken=True, twice=True),
    "host by <<": _from("<<: {host: tidb}", taken=True),
    "bucket a date": _file(BASE.replace("my-bucket", "2026-11-29"), taken=True),
    "useKMS off": _spec("useKMS: off", taken=True),
    "useKMS in quotes": _spec("useKMS: 'false'", taken=False),
    "field on": _spec("on: 1", taken=False),
    "unknown null field": _spec("ttl:", taken=False),
    "nodeSelector number": _spec("nodeSelector: {a: 1}", taken=False),
    "nodeSelector yes": _spec("nodeSelector: {a: yes}", taken=False),
    "nodeSelector null": _spec("nodeSelector: {a: }", taken=True),
    "nodeSelector date": _spec("nodeSelector: {a: 2026-11-29}", taken=True),
    "nodeSelector on:": _spec("nodeSelector: {on: a}", taken=True),
    "podLabels 1.5": _spec("podLabels: {a: 1.5}", taken=False),
    "env of null": _spec("env: [null]", taken=False),
    "tableFilter *.*": _spec("tableFilter: [*.*]", taken=False),
    "tableFilter in quotes": _spec("tableFilter: ['*.*', '!mysql.*']", taken=True),
    "tableFilter on": _spec("tableFilter: [on]", taken=False),
    "no spec": _file(BASE.split("spec:")[0], taken=False),
    "unknown field at the top": _file(BASE + "foo: bar\n", taken=False),
    # Names.
    "no name": _named("uid: abc", taken=False),
    "empty name": _named("name: ''", taken=False),
    "name 123": _named("name: 123", taken=False),
    "name '123'": _named("name: '123'", taken=True),
    "name y": _named("name: y", taken=False),
    "name a date": _named("name: 2026-11-29", taken=True),
    "name a time": _named("name: 12:30:00", taken=False),
    "name Demo": _named("name: Demo", taken=False),
    "name a_b": _named("name: a_b", taken=False),
    "name a.b": _named("name: a.b", taken=True),
    "name a-": _named("name: a-", taken=False),
    "name a-.b": _named("name: a-.b", taken=False),
    "name a..b": _named("name: a..b", taken=False),
    "name with line feed": _named('name: "a\\n"', taken=False),
    "name of 253": _named("name: " + "a" * 253, taken=True),
    "name of 254": _named("name: " + "a" * 254, taken=False),
    "generateName demo-": _named("generateName: demo-", taken=True),
    "generateName demo": _named("generateName: demo", taken=True),
    "generateName Demo-": _named("generateName: Demo-", taken=False),
    "generateName a.": _named("generateName: a.", taken=False),
    "generateName a.-": _named("generateName: a.-", taken=False),
    "generateName -": _named("generateName: '-'", taken=False),
    "generateName a--": _named("generateName: a--", taken=True),
    "generateName 1": _named("generateName: 1", taken=False),
    "generateName of 253": _named("generateName: " + "a" * 253, taken=True),
    "generateName Demo- beside a name": _with("generateName: Demo-", taken=False),
    "namespace 1": _file(BASE.replace("namespace: default", "namespace: 1"), taken=False),
    "namespace Default": _file(BASE.replace("namespace: default", "namespace: Default"), taken=False),
    "namespace a.b": _file(BASE.replace("namespace: default", "namespace: a.b"), taken=False),
    "namespace null": _file(BASE.replace("namespace: default", "namespace:"), taken=True),
    # Labels, annotations, the rest of the metadata.
    "label 1": _with("labels: {a: 1}", taken=False),
    "label yes": _with("labels: {a: yes}", taken=False),
    "label null": _with("labels: {a: }", taken=True),
    "label a date": _with("labels: {a: 2026-11-29}", taken=True),
    "label a time": _with("labels: {a: 12:30:00}", taken=False),
    "label of 63": _with(f"labels: {{a: {'x' * 63}}}", taken=True),
    "label of 64": _with(f"labels: {{a: {'x' * 64}}}", taken=False),
    "label x y": _with("labels: {a: x y}", taken=False),
    "label _x": _with("labels: {a: _x}", taken=False),
    "label with line feed": _with('labels: {a: "x\\n"}', taken=False),
    "label key on": _with("labels: {on: x}", taken=True),
    "label key 1": _with("labels: {1: x}", taken=True),
    "label key 1e9": _with("labels: {1e9: x}", taken=False),
    "label key a b": _with("labels: {a b: x}", taken=False),
    "label key a.b/c": _with("labels: {a.b/c: x}", taken=True),
    "label key A/c": _with("labels: {A/c: x}", taken=False),
    "label key a/b/c": _with("labels: {a/b/c: x}", taken=False),
    "label key /c": _with("labels: {/c: x}", taken=False),
    "label key of 64": _with(f"labels: {{{'a' * 64}: x}}", taken=False),
    "label prefix of 254": _with(f"labels: {{{'a' * 254}/c: x}}", taken=False),
    "labels a list": _with("labels: [a]", taken=False),
    "labels null": _with("labels:", taken=True),
    "annotation 1": _file(BASE.replace('"CASE"', '"CASE", a: 1'), taken=False),
    "annotation on": _file(BASE.replace('"CASE"', '"CASE", a: on'), taken=False),
    "annotation null": _file(BASE.replace('"CASE"', '"CASE", a: '), taken=True),
    "annotation of any text": _file(BASE.replace('"CASE"', '"CASE", a: x y €'), taken=True),
    "annotation key Example.COM/c": _file(BASE.replace('"CASE"', '"CASE", Example.COM/c: x'), taken=True),
    "annotation key a b": _file(BASE.replace('"CASE"', '"CASE", a b: x'), taken=False),
    "finalizer": _with("finalizers: [a.b/c]", taken=True),
    "finalizer a b": _with("finalizers: [a b]", taken=False),
    "finalizers a text": _with("finalizers: abc", taken=False),
    "owner": _with("ownerReferences: [{apiVersion: v1, kind: Pod, name: x, uid: a}]", taken=True),
    "unknown field of metadata": _with("nam: x", taken=False),
    "creationTimestamp": _with("creationTimestamp: 2026-11-29T00:00:00Z", taken=True),
    "creationTimestamp null": _with("creationTimestamp: null", taken=True),
    "creationTimestamp a date": _with("creationTimestamp: 2026-11-29", taken=False),
    "generation in quotes": _with("generation: '3'", taken=False),
    "uid 5": _with("uid: 5", taken=False),
    # Documents.
    "empty documents": _file(f"---\n---\n# nothing\n---\n{BASE}---\n\n---\nnull\n---\n", taken=True),
    "comments behind ---": _file(f"--- # one\n{BASE}---  # two\n{_OTHER}", taken=True),
    "content behind ---": _file(f"--- {{}}\n{BASE}", taken=False),
    "four dashes": _file(f"----\n{BASE}", taken=False),
    "...": _file(f"{BASE}...\n", taken=True),
    "... and more": _file(f"{BASE}...\nfoo: bar\n", taken=True),
    "directive": _file(f"%YAML 1.1\n---\n{BASE}", taken=False),
    "--- in a block": _file(BASE.replace("spec:", "x: |\n---\nspec:"), taken=False),
    "a text first": _file(f"hello\n---\n{BASE}", taken=False),
    "no kind": _file(BASE.replace("kind: Backup\n", ""), taken=False),
    "no apiVersion": _file(BASE.replace("apiVersion: pingcap.com/v1alpha1\n", ""), taken=False),
    "kind backup": _file(BASE.replace("Backup", "backup"), taken=False),
    "an anchor of another document": _file(f"a: &n demo\n---\n{BASE.replace('demo', '*n')}", taken=False),
    "spec twice": _file(BASE.replace("spec:", "spec: {on: 1}\nspec:"), taken=True, twice=True),
    # Lists.
    "List": _file(f"apiVersion: v1\nkind: List\nitems:\n{_ITEM}", taken=True),
    "BackupList": _file(
        f"apiVersion: pingcap.com/v1alpha1\nkind: BackupList\nitems:\n{_BARE_ITEM}", taken=True
    ),
    "List without kinds": _file(f"apiVersion: v1\nkind: List\nitems:\n{_BARE_ITEM}", taken=False),
    "List with null": _file(f"apiVersion: v1\nkind: List\nitems:\n- null\n{_ITEM}", taken=False),
    "List without items": _file(f"apiVersion: v1\nkind: List\n---\n{BASE}", taken=False),
    "List without apiVersion": _file(f"kind: List\nitems:\n{_ITEM}", taken=False),
    # Bytes and white space.
    "CRLF": _file(BASE.replace("\n", "\r\n"), taken=True),
    "no last line feed": _file(BASE.rstrip(), taken=True),
    "tab as indentation": _file(BASE.replace("  from", "\tfrom"), taken=False),
    "tab behind a colon": _file(BASE.replace("name: demo", "name:\tdemo"), taken=True),
    "tab before a comment": _file(BASE.replace("name: demo", "name: demo\t# x"), taken=True),
    "tab alone in a line": _file(BASE.replace("spec:\n", "spec:\n\t\n"), taken=False),
    "no-break space": _file(BASE.replace("name: demo", "name: demo\u00a0"), taken=False),
    "UTF-8 with BOM": _file(BASE, taken=True, encoding="utf-8-sig"),
    "UTF-16, little endian": _file(_UTF_16, taken=True, encoding="utf-16-le"),
    "UTF-16, big endian": _file(_UTF_16, taken=True, encoding="utf-16-be"),
    "UTF-16 without BOM": _file(BASE, taken=False, encoding="utf-16-le"),
    "BOM in the middle": _file(f"{BASE}---\n\ufeff{_OTHER}", taken=True),
    "Latin-1": _file(BASE.replace('"CASE"', '"CASE", a: é'), taken=True, encoding="latin-1"),
    "NUL": _file(BASE + "\0", taken=False),
    "control character": _file(BASE + "# \x01\n", taken=False),
    "control character, escaped": _file(BASE.replace('"CASE"', '"CASE", a: "\\x01"'), taken=True),
    # JSON.
    "JSON": _file(_JSON, taken=True),
    "JSON with tabs": _file(json.dumps(OBJECT, indent="\t"), taken=True),
    "JSON after JSON": _file(_JSON + _JSON.replace("demo", "other"), taken=True),
    "JSON --- JSON": _file(f"{_JSON}\n---\n{_JSON.replace('demo', 'other')}", taken=True),
    "JSON --- YAML": _file(f"{_JSON}\n---\n{_OTHER}", taken=True),
    "YAML --- JSON": _file(f"{BASE}---\n{_JSON.replace('demo', 'other')}", taken=True),
    "JSON with a comment": _file(f"{_JSON}\n# x\n", taken=True),
    "JSON, comma too many": _file(_JSON.replace('"s3"}}', '"s3",},}'), taken=True),
    "JSON, single quotes": _file(_JSON.replace('"', "'"), taken=True),
    "JSON, \\u and \\/": _file(_JSON.replace('"CASE"', r'"CASE", "a": "\ud83d\ude00\/"'), taken=True),
    "JSON, port 4e3": _file(_JSON.replace('"tidb"', '"tidb", "port": 4e3'), taken=True),
    "JSON, a field twice": _file(_JSON.replace('"tidb"', '"a", "host": "tidb"'), taken=True),
    "JSON array": _file(f"[{_JSON}]", taken=False),
    "JSON List": _file(json.dumps({"apiVersion": "v1", "kind": "List", "items": [OBJECT]}), taken=True),
}
