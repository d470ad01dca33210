"""How the processes share the tests: by file, and files whose tests are begun together stay together.

Each process has servers of its own. Knows no cluster.
"""

from xdist.scheduler import LoadFileScheduling

_TOGETHER = (
    # Their fixture begins all its tests side by side, so a second process would run them all again.
    ("tests/cluster/contract/",),
    # A backup that tries again for a minute: the first begins it, the second looks at its end.
    ("tests/integration/test_bad_input_failed.py", "tests/integration/test_run_faults.py"),
)
"""Groups of files, by how their paths begin: each group runs in one process."""

_APART = ("tests/simulation/test_seeds.py",)
"""Files whose tests need nothing of each other and take long: each test may run in another process."""


def together(nodeid: str) -> str:
    """What a test must run in one process with: its file, or the first of its group, or itself alone."""
    file = nodeid.split("::", 1)[0]
    if file in _APART:
        return nodeid
    return next((group[0] for group in _TOGETHER if file.startswith(group)), file)


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist ships no types
    """Files in the order they were collected, each to the process that is free."""

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid)
