"""Helm, which renders and installs the chart of the tests: built once and cached like the test Kubernetes.

`python -m tests.cluster.helm` makes sure that the program is there. Knows no chart.
"""

import sys
from pathlib import Path

from tests.cluster import build

_SOURCE = "helm.sh/helm/v3"

RECIPE = build.Recipe(
    title="Helm",
    name="helm",
    module=Path(__file__).with_name("helm"),
    source=_SOURCE,
    # The module's own program: go.mod names it as a tool, so there is no source of ours.
    package=f"{_SOURCE}/cmd/helm",
    stamps=(f"{_SOURCE}/internal/version.version",),
    cost="about 3 minutes and 100 MB to download",
)


if __name__ == "__main__":
    sys.exit(build.main(RECIPE))
