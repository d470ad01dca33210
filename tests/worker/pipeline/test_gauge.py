"""What counts as a run that moves.

Here is also what worker/counters.py promises.
"""

from pathlib import Path

import pytest

from tidbbackup.model.compression import Compression
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage.parts import PartSizes
from tidbbackup.worker.archive.tar import Archive
from tidbbackup.worker.counters import Counters
from tidbbackup.worker.dumpers.process import DumperProcess
from tidbbackup.worker.pipeline.gauge import Gauge
from tidbbackup.worker.staging.belt import Belt

SIZES = PartSizes(ObjectTarget("other", "b", "k"), 0)


@pytest.mark.parametrize("what", ["sent_bytes", "waited_seconds"])
def test_a_part_that_is_still_on_its_way_is_movement(tmp_path: Path, what: str) -> None:
    archive, counters = Archive("top", 0, SIZES, Compression.GZIP), Counters()
    gauge = Gauge(counters, Belt(tmp_path, lambda _: ()), archive, DumperProcess())
    before = gauge.moved()
    assert gauge.moved() == before
    setattr(counters, what, 1)
    assert gauge.moved() != before
    archive.close()
