"""Several ways in turns, as often as asked for: what each took. Knows no way."""

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Mapping

from attrs import asdict, frozen

from tests.bench.measure import Measured, measured
from tests.bench.ways import BUCKET, Place, clear

Way = Callable[[Place], Awaitable[None]]

_PATIENCE_SECONDS = 300.0
"""mydumper 0.10.1 with four threads hangs at its end now and then."""


@frozen
class Rounds:
    """All runs by the name of their way, and what they have left in the bucket (key to bytes)."""

    runs: dict[str, list[Measured]]
    sizes: dict[str, int]

    def seconds(self, name: str) -> float:
        """The median."""
        return statistics.median(run.seconds for run in self.runs[name])

    def ratio(self, name: str, to: str) -> float:
        """Of the medians of two ways."""
        return self.seconds(name) / self.seconds(to)

    def staging(self, name: str) -> int:
        """The most that a way had on its staging volume. Bytes."""
        return max(run.peak_folder for run in self.runs[name])

    def rss(self, name: str, program: str) -> int:
        """The most memory that a program of a way took. Bytes."""
        return max(run.peak_rss[program] for run in self.runs[name])

    def raw(self) -> dict[str, object]:
        """Every figure of every run, for a file."""
        return {name: [asdict(run) for run in found] for name, found in self.runs.items()}

    def cpu(self) -> str:
        """CPU seconds of the median run of each way, by program."""
        lines = ["CPU seconds of the median run, by program:"]
        for name, found in self.runs.items():
            used = sorted(found, key=lambda run: run.seconds)[len(found) // 2].cpu_seconds
            parts = (f"{program} {value:.1f}" for program, value in sorted(used.items()) if value >= 0.05)
            lines.append(f"  {name:<10} {sum(used.values()):5.1f}: {', '.join(parts)}")
        return "\n".join(lines)


async def run(
    place: Place, ways: Mapping[str, Way], servers: dict[str, int], rounds: int, fresh: Way = clear
) -> Rounds:
    """Run every way `rounds` times, in turns.

    `servers`: name to pid of those whose CPU counts too. `fresh`: leaves nothing of one way to the next.
    """
    found = Rounds({name: [] for name in ways}, {})
    for turn in range(rounds):
        for name, way in ways.items():
            took = None
            while took is None:
                took = await _once(place, way, servers, fresh)
            found.runs[name].append(took)
            print(f"round {turn + 1}, {name}: {took.seconds:.2f} s", flush=True)
            found.sizes.update(await place.store.objects(BUCKET))
    await clear(place)
    return found


async def _once(place: Place, way: Way, servers: dict[str, int], fresh: Way) -> Measured | None:
    await fresh(place)
    try:
        with measured(place.staging, servers) as took:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await way(place)
    except TimeoutError:
        print(f"not over after {_PATIENCE_SECONDS:.0f} s, once more", flush=True)
        return None
    return took
