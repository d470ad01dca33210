"""The chart as Helm renders it, and the manifests as kustomize does: objects by kind, namespace and name."""

import functools
import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from manifests.compose import FOLDER, kustomize
from tests.cluster import build, helm
from tests.cluster.binaries import find_or_build
from tests.manifests.shipped import JSON

CHART = FOLDER / "chart"
SYSTEM = "tidbbackup-system"
# Helm does not know a cluster's version where there is none, and takes an old one.
KUBERNETES = "--kube-version=1.34.0"

Key = tuple[str, str, str]


class Refused(Exception):
    """Helm ended with an error; the message is its own."""


def rendered(values: JSON | None = None, namespace: str = SYSTEM) -> dict[Key, JSON]:
    """The objects that the chart installs with these values. Raises Refused.

    Without its CRDs unless the values say so: they are long.
    """
    where = (f"--namespace={namespace}", KUBERNETES)
    given = {"crds": {"install": False}} | (values or {})
    return by_key(yaml.safe_load_all(run("template", "a-release", CHART, *where, "--values=-", values=given)))


def run(verb: str, *arguments: str | Path, values: JSON | None = None) -> str:
    """What Helm says, with the values as its standard input. Raises Refused."""
    done = subprocess.run(
        [build.program(helm.RECIPE), verb, *arguments],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"KUBECONFIG": os.devnull},
    )
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


@functools.cache
def shipped(folder: str) -> dict[Key, JSON]:
    """What kustomize makes of a folder of manifests."""
    return by_key(yaml.safe_load_all(kustomize(find_or_build().program("kubectl"), FOLDER / folder)))


def by_key(objects: Iterable[JSON | None]) -> dict[Key, JSON]:
    """Each object by what names it; raises AssertionError where two have the same name."""
    found = [each for each in objects if each]
    named = {_key(each): each for each in found}
    assert len(named) == len(found)
    return named


def _key(found: JSON) -> Key:
    return found["kind"], found["metadata"].get("namespace", ""), found["metadata"]["name"]


def changes(before: Any, after: Any, path: str = "") -> dict[str, Any]:
    """Where two objects differ: the path of each field, and what stands there afterwards (None: nothing)."""
    if before == after:
        return {}
    if isinstance(before, dict) and isinstance(after, dict):
        return {
            where: what
            for name in before.keys() | after.keys()
            for where, what in changes(before.get(name), after.get(name), f"{path}.{name}").items()
        }
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return {
            where: what
            for number, (one, other) in enumerate(zip(before, after, strict=True))
            for where, what in changes(one, other, f"{path}[{number}]").items()
        }
    return {path: after}
