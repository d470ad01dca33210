"""How two processes share the tests: by file, and folders whose tests are begun together stay whole.

Each process has servers of its own. Knows no cluster.
"""

from xdist.scheduler import LoadFileScheduling

_WHOLE = ("tests/cluster/contract/",)
"""Their fixture begins all its tests side by side, so a second process would run them all again."""


def together(nodeid: str) -> str:
    """What a test must run in one process with: its file, or its folder."""
    file = nodeid.split("::", 1)[0]
    return next((folder for folder in _WHOLE if file.startswith(folder)), file)


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist ships no types
    """Files in the order they were collected, each to the process that is free."""

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid)
