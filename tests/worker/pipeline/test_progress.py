"""What counts as a run that moves, and the end of one that does not, on a virtual clock.

Here is also what worker/counters.py promises.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidbbackup.model import reasons
from tidbbackup.model.compression import Compression
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage.parts import PartSizes
from tidbbackup.worker.archive.tar import Archive
from tidbbackup.worker.counters import Counters
from tidbbackup.worker.dumpers.process import DumperProcess
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.pipeline.progress import Progress
from tidbbackup.worker.staging.belt import Belt

SIZES = PartSizes(ObjectTarget("other", "b", "k"), 0)


@pytest.fixture
def progress(tmp_path: Path) -> Iterator[Progress]:
    archive = Archive("top", 0, SIZES, Compression.GZIP)
    yield Progress(Counters(), Belt(tmp_path, lambda _: ()), archive, DumperProcess())
    archive.close()


@pytest.mark.looptime
@pytest.mark.parametrize("what", ["sent_bytes", "waited_seconds"])
async def test_only_silence_ends_a_run(progress: Progress, what: str) -> None:
    """A part that is still on its way is movement, and so is one that waits on purpose."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    watching = asyncio.create_task(progress.watch(1800))
    for number in range(1, 7):
        await asyncio.sleep(1700)
        setattr(progress.counters, what, number)
    with pytest.raises(StepFailed, match="for 1800 s: the upload stands at 0 bytes") as caught:
        await watching
    assert caught.value.reason == reasons.STALLED
    assert 6 * 1700 + 1800 <= loop.time() - start <= 6 * 1700 + 1820
