"""A house: network, mount and PID namespaces of their own, held by one process, without a name anywhere.

Killing that process, by whomever, ends all processes in the house, and mounts and network vanish with them:
there is nothing to clean up after a crash. Knows no Kubernetes.
"""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import frozen

from tests.cluster.processes import Child, Processes, wait_ready


@frozen(eq=False)
class House:
    """The namespaces, by the process that made them."""

    pid: int

    @property
    def network(self) -> Path:
        """The network namespace, as setns wants it."""
        return Path(f"/proc/{self.pid}/ns/net")

    @property
    def in_network(self) -> tuple[str, ...]:
        """Put in front of a command to run it in the house's network, but with our processes and mounts."""
        return ("nsenter", f"--net={self.network}", "--")

    @property
    def inside(self) -> tuple[str, ...]:
        """Put in front of a command to run it inside for good. A signal ends it at once, without grace."""
        # Not `ip netns exec`: that mounts /sys again, and kubelet finds no cgroups in it.
        spaces = (f"--mount=/proc/{self.pid}/ns/mnt", f"--pid=/proc/{self.pid}/ns/pid_for_children")
        return ("nsenter", f"--net={self.network}", *spaces, "--")


@asynccontextmanager
async def house(owned: Processes, addresses: Sequence[str]) -> AsyncIterator[House]:
    """A house whose loopback interface has `addresses` too. Everything inside is killed at the end.

    Raises processes.ProcessDied where namespaces are not allowed; the message has the program's words.
    """
    ready = owned.folder / "house.ready"
    init = Path(__file__).with_name("init.py")
    argv: list[str | Path] = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
    argv += ["--", sys.executable, "-I", "-S", init, ready, *addresses]
    # No grace: `unshare` does not listen, and process 1 has nothing to say.
    child: Child = await owned.start("house", argv, grace=0.0)

    async def is_ready() -> bool:
        return ready.exists()

    try:
        await wait_ready(child, is_ready)
        yield House(child.pid)
    finally:
        await owned.stop(child)
