"""How files are read: what kubectl makes of the same text is written down in yaml_cases.py."""

from typing import Any

import pytest

from tests.yaml_cases import BASE, FILES, REFUSED, SCALARS
from tidbbackup.kubectl_yaml import NotYaml, read


def values(text: str) -> list[Any]:
    """What is in a text."""
    return [each.value for each in read(text.encode())]


@pytest.mark.parametrize("text", SCALARS)
def test_a_value(text: str) -> None:
    if SCALARS[text] is REFUSED:
        with pytest.raises(NotYaml, match=r"^line [12]: "):
            values(f"x:\n  v: {text}\n")
        return
    (found,) = values(f"x:\n    v: {text}\n")

    assert repr(found["x"]["v"]) == repr(SCALARS[text])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [\n---\nb: 1", "line 2: did not find expected node content (is its indentation right?)"),
        ("a: 1\n---\nb: 1\nc: .inf\n", "line 4: inf is no value in Kubernetes"),
        ("# x\n---\r\n--- 5\n", "line 3: write nothing behind --- but a comment"),
        ('{"a": 1}\n\n{"a": 2} ~', "value 3 is not JSON: "),
        ('{"a": 1}\n---\nb: *x', "line 3: found undefined alias"),
        ("a: &x [*x]", "line 1: nested too deep, or an alias that contains itself"),
        ("[" * 5000 + "]" * 5000, "line 1: exceeded maximum nesting depth"),
        ("a: !!binary x", "line 1: not base64: "),
        ("a: \x01", "control characters are not allowed"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_in_the_file(text: str, why: str) -> None:
    with pytest.raises(NotYaml) as refused:
        values(text)

    assert why in str(refused.value)


def test_documents_and_json_values_come_one_after_the_other() -> None:
    assert values("---\n--- # x\na: 1\n---\n~\n---\n- 2\n...\nb") == [{"a": 1}, [2]]
    assert values(' {"a": 1.0}{"b": "\\ud83d\\ude00"}\nnull') == [{"a": 1}, {"b": "\U0001f600"}]
    assert values('{"a": 1}\n---\nb: 017\n') == [{"a": 1}, {"b": 15}]
    assert values('{"a": NaN}') == [{"a": "NaN"}]
    assert values("") == values("# x") == values("null") == []


def test_a_field_that_stands_twice_is_told() -> None:
    (found,) = read(b"# x\n---\na: {b: 1,\n  b: 2}\nc: {<<: {d: 1}, d: 2}\n")

    assert found.value == {"a": {"b": 2}, "c": {"d": 2}}
    assert found.twice == ["a.b"]


def test_each_path_has_its_line() -> None:
    one, two = read(b"# x\n---\na:\n  b: 1\n  c:\n  - d: 2\n  -\n    e: 3\n---\nf: 4\n")

    assert one.lines == {
        "": 3,
        "a": 3,
        "a.b": 4,
        "a.c": 5,
        "a.c[0]": 6,
        "a.c[0].d": 6,
        "a.c[1]": 8,
        "a.c[1].e": 8,
    }
    assert two.lines == {"": 10, "f": 10}
    assert [each.lines for each in read(b'{"a": 1}')] == [{}]


@pytest.mark.parametrize("name", ["UTF-8 with BOM", "UTF-16, little endian", "UTF-16, big endian", "CRLF"])
def test_encodings_and_ends_of_lines_make_no_difference(name: str) -> None:
    (plain,) = read(BASE.encode())

    assert next(read(FILES[name].data())).value == plain.value
