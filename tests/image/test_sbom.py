"""The list of what is in the image, from small images that are made here."""

import json
from pathlib import Path
from typing import Any

import pytest

from image.sbom import bill, go_program, main

STATUS = """\
Package: libmariadb3
Status: install ok installed
Architecture: amd64
Source: mariadb (1:10.11.14-0+deb12u2)
Version: 1:10.11.14-0+deb12u2
Description: a library
 of several lines

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: mydumper
Status: install ok installed
Architecture: amd64
Version: 0.10.1-1+b1
"""
COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: GPL-3.0+

Files: debian/*
License: BSD-3-clause

License: GPL-3.0+
 a text
"""
COMPILED_IN = {
    "bomFormat": "CycloneDX",
    "metadata": {"timestamp": "2026-09-29T23:04:42Z"},
    "components": [
        {
            "type": "library",
            "name": "openssl",
            "version": "4.0.3",
            "purl": "pkg:generic/openssl@4.0.3",
            "hashes": [],
        }
    ],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A file system with two packages of Debian's."""
    written(tmp_path / "etc/os-release", 'NAME="Debian"\nVERSION_ID="12"\nID=debian\n')
    written(tmp_path / "var/lib/dpkg/status", STATUS)
    return tmp_path


def written(path: Path, text: str) -> None:
    """A file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def install(root: Path, name: str, version: str, metadata: str = "", **files: str) -> None:
    """A distribution with more files beside its metadata."""
    info = f"{name}-{version}.dist-info"
    site = root / "opt/tidbbackup/lib/python3.11/site-packages"
    written(site / info / "METADATA", f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{metadata}")
    for path, text in files.items():
        written(site / info / path, text)
    written(site / info / "RECORD", "".join(f"{info}/{path},,\n" for path in ("METADATA", *files)))


def listed(root: Path) -> dict[str, dict[str, Any]]:
    """What is listed, by name."""
    return {each["name"]: each for each in bill(root)["components"]}


def test_debian_packages_by_their_url_and_source(root: Path) -> None:
    found = listed(root)

    assert set(found) == {"debian", "libmariadb3", "mydumper"}
    assert (found["debian"]["type"], found["debian"]["version"]) == ("operating-system", "12")
    assert found["mydumper"]["version"] == "0.10.1-1+b1"
    assert found["mydumper"]["purl"] == "pkg:deb/debian/mydumper@0.10.1-1%2Bb1?arch=amd64&distro=debian-12"
    assert found["libmariadb3"]["purl"] == (
        "pkg:deb/debian/libmariadb3@1%3A10.11.14-0%2Bdeb12u2?arch=amd64&distro=debian-12"
        "&upstream=mariadb%401%3A10.11.14-0%2Bdeb12u2"
    )


def test_debian_licences_where_machines_can_read_them(root: Path) -> None:
    written(root / "usr/share/doc/mydumper/copyright", COPYRIGHT)
    written(root / "usr/share/doc/libmariadb3/copyright", "This is free.\nLicense: see below\n")

    found = listed(root)

    assert found["mydumper"]["licenses"] == [
        {"license": {"name": "BSD-3-clause"}},
        {"license": {"name": "GPL-3.0+"}},
    ]
    assert "licenses" not in found["libmariadb3"]


@pytest.mark.parametrize(
    ("metadata", "licences"),
    [
        ("License-Expression: MIT OR Apache-2.0\nLicense: x\n", [{"expression": "MIT OR Apache-2.0"}]),
        ("License: MIT\nClassifier: License :: OSI Approved :: x\n", [{"license": {"name": "MIT"}}]),
        (
            "License: The text\n        of it.\nClassifier: License :: OSI Approved :: MIT License\n",
            [{"license": {"name": "MIT License"}}],
        ),
        ("License: UNKNOWN\n", None),
        ("", None),
    ],
)
def test_python_distributions(root: Path, metadata: str, licences: list[Any] | None) -> None:
    install(root, "My_Package", "1.0+local", metadata)

    found = listed(root)["My_Package"]

    assert found["purl"] == "pkg:pypi/my-package@1.0%2Blocal"
    assert found["version"] == "1.0+local"
    assert found.get("licenses") == licences


def test_what_a_wheel_has_compiled_in(root: Path) -> None:
    install(root, "cryptography", "50.0.2", **{"sboms/sbom.json": json.dumps(COMPILED_IN)})

    assert listed(root)["cryptography"]["components"] == [
        {"type": "library", "name": "openssl", "version": "4.0.3", "purl": "pkg:generic/openssl@4.0.3"}
    ]


def test_the_order_of_the_files_makes_no_difference(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(root, "b", "1")
    install(root, "a", "1")
    assert main(root) == 0
    first = capsys.readouterr().out
    (root / "var/lib/dpkg/status").write_text("\n\n".join(reversed(STATUS.rstrip("\n").split("\n\n"))) + "\n")

    assert main(root) == 0

    assert capsys.readouterr().out == first
    assert "timestamp" not in first
    urls = [each.get("purl", "") for each in json.loads(first)["components"]]
    assert urls == sorted(urls)


@pytest.mark.parametrize("empty", ["pkg:pypi/", "pkg:deb/"])
def test_a_list_that_lacks_a_kind_is_an_error(
    root: Path, empty: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if empty == "pkg:deb/":
        install(root, "a", "1")
        (root / "var/lib/dpkg/status").write_text("")

    assert main(root) == 1
    assert f"no {empty}" in capsys.readouterr().err


def test_a_go_program_lists_the_modules_in_it(tmp_path: Path) -> None:
    modules = (
        "path\tx\nmod\tx\t(devel)\t\n"
        "dep\tgithub.com/a/b\tv1.0.0\th1:x=\n"
        "dep\tgithub.com/c/d\tv2.0.0\n=>\tgithub.com/e/d\tv3.0.0\th1:y=\n"
    )
    texts = b"".join(_with_length(text.encode()) for text in ("go1.27.3", modules))
    program = tmp_path / "tidbbackup-x"
    program.write_bytes(b"\x7fELF" + b"\xff Go buildinf:\x08\x02" + bytes(16) + texts + b"more")
    found = go_program(program)
    assert found["name"] == "tidbbackup-x"
    assert [(each["name"], each["version"], each.get("purl")) for each in found["components"]] == [
        ("go", "1.27.3", None),
        ("github.com/a/b", "v1.0.0", "pkg:golang/github.com/a/b@v1.0.0"),
        ("github.com/e/d", "v3.0.0", "pkg:golang/github.com/e/d@v3.0.0"),
    ]
    program.write_bytes(b"#!/bin/sh\n")
    assert go_program(program) == {}


def _with_length(text: bytes) -> bytes:
    length, head = len(text), b""
    while length > 127:
        head, length = head + bytes([length & 127 | 128]), length >> 7
    return head + bytes([length]) + text
