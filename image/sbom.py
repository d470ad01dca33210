"""Writes down what is in the image: `python3 sbom.py ROOT > sbom.cdx.json`, CycloneDX 1.5.

Debian's packages as dpkg has them, Python's distributions as their metadata have them, what a wheel says
that it has compiled in, and what a Go program says that it is built from. Sorted and without a time: the same
image gives the same list. Run once in the image's build, by Debian's python3; standard library only. Knows no
package by name.
"""

import json
import re
import sys
from collections.abc import Iterator
from email.parser import Parser
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

Component = dict[str, Any]

# The environment of the image; Debian's own Python packages are dpkg's.
SITES = "opt/tidbbackup/lib/python3*/site-packages"
# Where a wheel lists what is compiled into it (PEP 770), and what is taken over from there.
COMPILED_IN = "sboms/*.json"
TAKEN_OVER = ("type", "name", "version", "purl", "licenses")

# Programs of ours; of them, those of Go.
PROGRAMS = "opt/tidbbackup/bin/tidbbackup-*"

_GO_BUILD = re.compile(rb"\xff Go buildinf:.(?:\x02|\x03).{16}", re.DOTALL)
_MACHINE_READABLE = re.compile(r"\AFormat:.*(copyright-format|dep5)", re.IGNORECASE)
_LICENCE = re.compile(r"^License:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE | re.IGNORECASE)


def bill(root: Path) -> dict[str, Any]:
    """The whole list for the file system below `root`. Raises KeyError, OSError where it is no such image."""
    release = dict(re.findall(r'^([A-Z_]+)="?(.*?)"?$', (root / "etc/os-release").read_text(), re.MULTILINE))
    system, version = release["ID"], release["VERSION_ID"]
    found = [
        {"type": "operating-system", "name": system, "version": version},
        *debian_packages(root, f"{system}-{version}"),
        *(python_package(each) for each in python_distributions(root)),
        *(go_program(program) for program in sorted(root.glob(PROGRAMS))),
    ]
    found = [each for each in found if each]
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": in_order(found)}


def in_order(components: list[Component]) -> list[Component]:
    """Each once, by what it is called and then by all else that is said of it."""
    texts = {json.dumps(each, sort_keys=True): each for each in components}
    return [texts[text] for text in sorted(texts, key=lambda text: (texts[text].get("purl", ""), text))]


def debian_packages(root: Path, distribution: str) -> Iterator[Component]:
    """What dpkg has installed."""
    for stanza in (root / "var/lib/dpkg/status").read_text().split("\n\n"):
        package = Parser().parsestr(stanza, headersonly=True)
        if not package.get("Status", "").endswith(" installed"):
            continue
        name, version = package["Package"], package["Version"]
        # Debian tells of faults by the source's name: its version only where it differs.
        source, _, its_version = package.get("Source", name).replace("(", "").replace(")", "").partition(" ")
        more = {"arch": package["Architecture"], "distro": distribution}
        if source != name:
            more["upstream"] = f"{source}@{its_version}" if its_version else source
        component = {"type": "library", "name": name, "version": version}
        component["purl"] = (
            f"pkg:deb/{distribution.partition('-')[0]}/{quoted(name)}@{quoted(version)}?{urlencode(more)}"
        )
        yield component | named(debian_licences(root / "usr/share/doc" / name / "copyright"))


def debian_licences(copyright_file: Path) -> list[str]:
    """The short names of the licences, where the file is one that machines can read."""
    try:
        text = copyright_file.read_text(errors="replace")
    except OSError:
        return []
    return sorted(set(_LICENCE.findall(text))) if _MACHINE_READABLE.match(text) else []


def python_distributions(root: Path) -> list[Distribution]:
    """What is installed in the image's environment."""
    return list(distributions(path=[str(site) for site in sorted(root.glob(SITES))]))


def python_package(found: Distribution) -> Component:
    """One distribution, with what is compiled into it."""
    name, version = found.metadata["Name"], found.version
    purl = f"pkg:pypi/{quoted(re.sub(r'[-_.]+', '-', name).lower())}@{quoted(version)}"
    component = {"type": "library", "name": name, "version": version, "purl": purl} | python_licences(found)
    inside = [
        {key: each[key] for key in TAKEN_OVER if key in each}
        for file in sorted(found.files or [])
        if file.match(COMPILED_IN)
        for each in json.loads(file.read_text()).get("components", [])
    ]
    return component | ({"components": in_order(inside)} if inside else {})


def python_licences(found: Distribution) -> Component:
    """As the metadata have them: an expression, else a name, else the classifiers; some say nothing."""
    expressions, names, classifiers = (
        found.metadata.get_all(field) or [] for field in ("License-Expression", "License", "Classifier")
    )
    if expressions:
        return {"licenses": [{"expression": expressions[0]}]}
    # Some put the whole text there.
    if names and "\n" not in names[0].strip() and len(names[0]) < 100 and names[0] != "UNKNOWN":
        return named([names[0].strip()])
    return named(sorted(each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License ::")))


def go_program(path: Path) -> Component:
    """One program with the modules in it, as `go version -m` shows them; empty: it is none of Go."""
    program = path.read_bytes()
    place = _GO_BUILD.search(program)
    if not place:
        return {}
    version, rest = _go_text(program[place.end() : place.end() + (1 << 20)])
    modules = _go_text(rest)[0].decode(errors="replace")
    found = re.findall(r"^dep\t(\S+)\t(\S+)(?:.*\n=>\t(\S+)\t(\S+))?", modules, re.MULTILINE)
    inside = [
        {
            "type": "library",
            "name": name,
            "version": which,
            "purl": f"pkg:golang/{quoted_path(name)}@{quoted(which)}",
        }
        for name, which in (each[2:] if each[2] else each[:2] for each in found)
    ]
    compiler = {"type": "library", "name": "go", "version": version.decode().removeprefix("go")}
    return {"type": "application", "name": path.name, "components": in_order([compiler, *inside])}


def _go_text(data: bytes) -> tuple[bytes, bytes]:
    """A text that begins with its length, and what follows it."""
    length = shift = position = 0
    while True:
        byte = data[position]
        length |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return data[position : position + length], data[position + length :]


def quoted_path(text: str) -> str:
    """As the path in a package URL."""
    return quote(text, safe="/")


def named(licences: list[str]) -> Component:
    """Licences by the names that their authors use, which need not be SPDX's."""
    return {"licenses": [{"license": {"name": each}} for each in licences]} if licences else {}


def quoted(text: str) -> str:
    """As a part of a package URL."""
    return quote(text, safe="")


def main(root: Path) -> int:
    """Write the list to standard output; 1 when a part of it is empty, which no image has."""
    found = bill(root)
    for kind in ("pkg:deb/", "pkg:pypi/"):
        if not any(each.get("purl", "").startswith(kind) for each in found["components"]):
            print(f"sbom: there is no {kind} below {root}", file=sys.stderr)
            return 1
    json.dump(found, sys.stdout, indent=1, sort_keys=True)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
