"""One run: a seed decides all that happens, until everything is calm and at rest, and is checked."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import random
from datetime import timedelta

from attrs import define, field, frozen

from tests.decide.builders import NOW
from tests.simulation.cluster import Cluster
from tests.simulation.controllers import Controller
from tests.simulation.invariants import Invariants
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Network
from tests.simulation.server import ApiServer, Path, read_path
from tests.simulation.user import NAMESPACE, User
from tests.simulation.watching import Watches
from tests.simulation.weather import Weather
from tests.simulation.worker import Workers
from tidbbackup.kube.lease import LeaseLost

QUIET_SECONDS = 400.0
"""For so long nothing is written before all counts as settled; what is finished loses its Job after 300."""
LONGEST_SECONDS = 2 * 3600.0
"""By then all has settled."""


@frozen
class Outcome:
    """How a run went. `broken` is what went wrong; `trace` tells each request that wrote, and each deed."""

    seed: int
    broken: str
    trace: tuple[str, ...]
    seconds: float

    @property
    def digest(self) -> str:
        """The same for two runs that are the same."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]


class _Bugs(logging.Handler):
    """Keeps what the controllers log of exceptions that are no answers of the API server."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and not isinstance(record.exc_info[1], LeaseLost):
            self.found.append(logging.Formatter().format(record))


@define
class Simulation:
    """All parts of one run."""

    seed: int
    rng: random.Random
    server: ApiServer
    weather: Weather
    watches: Watches
    cluster: Cluster
    workers: Workers
    invariants: Invariants
    user: User
    mode: str
    controllers: list[Controller] = field(factory=list)
    slots: list[asyncio.Task[None]] = field(factory=list)
    over: bool = False
    broken: list[str] = field(factory=list)
    trace: list[str] = field(factory=list)

    async def live(self) -> None:
        """From the first controller to the check at the end."""
        self.invariants.reliable = self.mode != "two"
        self.server.create(Path("namespaces"), {"metadata": {"name": NAMESPACE}})
        for number in range(1 if self.mode == "one" else 2):
            self.slots.append(asyncio.create_task(self._slot(number)))
        for _ in range(self.rng.randint(3, 8)):
            await self._pass(self.rng.choice((0.05, 1.0, 10.0, 30.0)))
            self.user.act()
            if self.rng.random() < 0.3:
                self._mishap()
        await self._calm_down()
        await self._pass(65.0)
        self.invariants.check_due_times()
        self.user.rest()
        await self._settle()

    async def _pass(self, seconds: float) -> None:
        """Time passes, a part at a time: where something is broken nothing more is of interest."""
        until = _now() + seconds
        while _now() < until:
            await asyncio.sleep(min(20.0, until - _now()))
            if self.broken or self.invariants.broken:
                raise AssertionError("it went no further")

    async def _slot(self, number: int) -> None:
        """One replica: a process that is started again when it has ended."""
        lives = 0
        while not self.over:
            lives += 1
            controller = self._controller(f"controller-{number}-{lives}")
            controller.start()
            assert controller.task is not None
            await asyncio.wait({controller.task})
            self.controllers.remove(controller)
            error = None if controller.task.cancelled() else controller.task.exception()
            if error is not None and not isinstance(error.__cause__, LeaseLost):
                self.broken.append(f"{controller.name} has ended: {error}")
            await asyncio.sleep(0.1 if self.weather.calm else self.rng.choice((0.1, 3.0, 30.0)))

    def _controller(self, name: str) -> Controller:
        network = Network(self.server, self.watches, self.weather, name)
        elects = self.mode == "lease" and not self.weather.calm
        made = Controller(name, network, self.server.clock, elects)
        network.dies, network.asked, network.waits = made.kill, self._asked, self._meddle
        self.controllers.append(made)
        return made

    def _meddle(self, method: str, path: str) -> None:
        """While a controller's deletion is on its way, the user replaces what is to be deleted."""
        at = read_path(path)
        if method == "DELETE" and at.plural == "backups":
            self.tell(f"while its deletion is on its way: {self.user.replace(at.name)}")

    def _mishap(self) -> None:
        """Something befalls one of the controllers, or the API server."""
        what = self.rng.choice(("kill", "stop", "ahead", "suspend", "restart"))
        if what == "restart":
            self.server.objects.forget()
            for watches in self.watches.open.values():
                for watch in tuple(watches):
                    watch.cut()
        elif self.controllers:
            self._befall(what, self.rng.choice(self.controllers))
        self.tell(what)

    def _befall(self, what: str, controller: Controller) -> None:
        match what:
            case "kill":
                controller.kill()
            case "stop":
                controller.stop.set()
            case "ahead":
                self.invariants.reliable = False
                controller.ahead = timedelta(seconds=self.rng.choice((-90, -5, 2, 90)))
            case "suspend":
                controller.suspended += self.rng.choice((6.0, 20.0))

    async def _calm_down(self) -> None:
        self.tell("calm")
        self.weather.clear()
        self.workers.settle()
        for controller in self.controllers:
            controller.ahead = timedelta()
            if self.mode == "lease":
                controller.stop.set()
        if self.weather.losing:
            # The next hourly list finds what the watches have lost.
            await self._pass(4000.0)

    async def _settle(self) -> None:
        began = _now()
        while True:
            written = self.server.objects.version
            await self._pass(QUIET_SECONDS)
            if self.server.objects.version == written and not self._unfinished():
                return
            if _now() - began > LONGEST_SECONDS:
                raise AssertionError(f"not settled after {LONGEST_SECONDS:g} s: {self._unfinished()}")

    def _unfinished(self) -> list[str]:
        return [
            f"{plural} {item.meta['name']}"
            for plural in ("backups", "restores", "jobs", "pods")
            for item in self.server.objects.of(plural).values()
            if item.going
        ]

    def check(self) -> None:
        """Raises AssertionError for what is wrong now."""
        assert not self.broken, "; ".join(self.broken)
        self.invariants.check_end()

    def tell(self, what: str) -> None:
        """A line of the trace."""
        self.trace.append(f"{_now():10.3f} {what}")

    def _asked(self, actor: str, method: str, path: str, status: int) -> None:
        if method != "GET":
            self.tell(f"{actor} {method} {path} {status}")

    async def end(self) -> None:
        """Kills what still runs."""
        self.over = True
        for controller in tuple(self.controllers):
            controller.kill()
        for slot in self.slots:
            slot.cancel()
        await asyncio.gather(*self.slots, return_exceptions=True)


def _now() -> float:
    return asyncio.get_running_loop().time()


def make(seed: int) -> Simulation:
    """All parts, in the running loop; what goes how often wrong is drawn too."""
    loop = asyncio.get_running_loop()

    def draw(what: str) -> random.Random:
        return random.Random(f"{seed} {what}")

    rng = draw("life")

    def share(most: float) -> float:
        return rng.choice((0.0, 0.0, most / 4, most))

    server = ApiServer(lambda: NOW + timedelta(seconds=loop.time()))
    weather = Weather(
        draw("weather"),
        failing=share(0.3),
        dying=share(0.1),
        slow=share(0.1),
        cutting=share(0.1),
        repeating=share(0.2),
        losing=0.05 if rng.random() < 0.02 else 0.0,
        forgetting=share(0.1),
    )
    watches = Watches(server.objects, weather)
    cluster = Cluster(server, draw("cluster"))
    workers = Workers(cluster, draw("workers"))
    invariants = Invariants(server, workers)
    user = User(server, draw("user"))
    mode = rng.choices(("one", "two", "lease"), weights=(12, 5, 3))[0]
    found = Simulation(seed, rng, server, weather, watches, cluster, workers, invariants, user, mode)
    user.told = found.tell
    return found


async def _run(seed: int) -> Outcome:
    asyncio.get_running_loop().set_exception_handler(_tell_nobody)
    found = make(seed)
    broken = ""
    try:
        await found.live()
        found.check()
    except AssertionError as error:
        broken = str(error)
    broken = "; ".join([*found.broken, *found.invariants.broken[:3]] + [broken] * bool(broken))
    seconds = _now()
    await found.end()
    return Outcome(seed, broken, tuple(found.trace), seconds)


def _tell_nobody(_: asyncio.AbstractEventLoop, __: dict[str, object]) -> None:
    """What is left in the tasks of a controller that was killed is heard by nobody."""


def simulate(seed: int) -> Outcome:
    """Plays that seed to its end."""
    bugs, log = _Bugs(), logging.getLogger("tidbbackup")
    state, level = random.getstate(), log.level
    random.seed(seed)
    log.addHandler(bugs)
    log.setLevel(logging.ERROR)
    log.propagate = False
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            outcome = runner.run(_run(seed))
    finally:
        log.removeHandler(bugs)
        log.setLevel(level)
        log.propagate = True
        random.setstate(state)
        # A controller freezes what its caches hold, see controller._look_for_garbage.
        gc.unfreeze()
    if bugs.found:
        broken = "\n".join([outcome.broken, *bugs.found[:2]])
        return Outcome(seed, broken, outcome.trace, outcome.seconds)
    return outcome
