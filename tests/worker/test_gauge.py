"""What counts as a run that moves."""

from pathlib import Path

from tidbbackup.worker.belt import Belt
from tidbbackup.worker.counters import Counters
from tidbbackup.worker.gauge import Gauge
from tidbbackup.worker.mydumper import Output
from tidbbackup.worker.pack import Archive


def test_bytes_of_a_part_that_is_still_on_its_way_are_movement(tmp_path: Path) -> None:
    archive, counters = Archive("top", 0, 16 << 20), Counters()
    gauge = Gauge(counters, Belt(tmp_path), archive, Output())
    before = gauge.moved()
    assert gauge.moved() == before
    counters.sent_bytes += 1
    assert gauge.moved() != before
    archive.close()
