"""Runs the controller as in a pod, and writes down how late its event loop is.

    KUBERNETES_SERVICE_PORT=... python -m tests.bench.lag FILE ACCOUNT ARGUMENTS OF TIDBBACKUP

ACCOUNT is a folder with ca.crt and token: a kubeconfig would need a library that takes 36 MiB.

A line for each tick that came late: when (monotonic), how late, and how many CPU seconds the loop's thread
used since the tick before. The second is what a probe would see, the third does not depend on the load.
SIGUSR1 ends the ticks: they cost more than a controller that has nothing to do.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO

from tidbbackup import controller
from tidbbackup.cli import main
from tidbbackup.kube.connection import Connection, in_cluster

_TICK = 0.01
_TOLD = 0.02


class _Ticking(asyncio.DefaultEventLoopPolicy):
    def __init__(self, told: IO[str]) -> None:
        super().__init__()
        self._told = told
        self._ticks = True
        signal.signal(signal.SIGUSR1, self._end)

    def _end(self, *_: object) -> None:
        self._ticks = False

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        loop = super().new_event_loop()
        loop.call_soon(self._tick, loop, loop.time(), time.thread_time())
        return loop

    def _tick(self, loop: asyncio.AbstractEventLoop, due: float, cpu: float) -> None:
        late, used = loop.time() - due, time.thread_time()
        if late > _TOLD:
            self._told.write(f"{due} {late:.6f} {used - cpu:.6f}\n")
        if self._ticks:
            loop.call_at(loop.time() + _TICK, self._tick, loop, loop.time() + _TICK, used)


async def _of_account(*_: object) -> Connection:
    return in_cluster(os.environ, account)


if __name__ == "__main__":
    file, account = sys.argv.pop(1), Path(sys.argv.pop(1))
    vars(controller)["load_connection"] = _of_account  # In a pod the place is fixed.
    with open(file, "a", buffering=1) as told:
        asyncio.set_event_loop_policy(_Ticking(told))
        sys.exit(main())
