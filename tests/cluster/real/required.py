"""For tests: a whole node, or an honest word about why there is none."""

from tests.cluster.real.prerequisites import missing
from tests.skips import skip


def require_whole_node() -> None:
    """Skip the test where no whole node can run; in CI, fail."""
    if reason := missing():
        skip(reason)
