"""The doors between our network and a house's: see door.py for what one is."""

import sys
from pathlib import Path

from attrs import frozen

from tests.cluster.processes import Processes, wait_ready
from tests.cluster.real.node_files import NODE_ADDRESS

_PROGRAM = Path(__file__).with_name("door.py")
_OURS = "/proc/self/ns/net"


@frozen(eq=False)
class Doors:
    """Opens doors into and out of one house; they close with the processes they are among."""

    _owned: Processes
    _network: Path

    async def open_inwards(self, port: int, target_port: int) -> None:
        """127.0.0.1:`port` here leads to 127.0.0.1:`target_port` in the house."""
        await self._open((_OURS, "127.0.0.1", port), (str(self._network), "127.0.0.1", target_port))

    async def open_outwards(self, port: int) -> None:
        """The node's address in the house, at `port`, leads to 127.0.0.1:`port` here."""
        await self._open((str(self._network), NODE_ADDRESS, port), (_OURS, "127.0.0.1", port))

    async def _open(self, listen: tuple[str, str, int], target: tuple[str, str, int]) -> None:
        argv: list[str | Path] = [sys.executable, "-I", "-S", _PROGRAM, *map(str, (*listen, *target))]
        child = await self._owned.start(f"door-{listen[2]}", argv, grace=0.0)

        async def is_open() -> bool:
            # Its only word. A connection would tell too, but whoever is behind the door would see it.
            return child.log.read_text() == "open\n"

        await wait_ready(child, is_open)
