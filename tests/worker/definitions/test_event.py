"""CREATE EVENT, made from the table of events."""

from typing import Any

import pytest

from tidbbackup.worker.definitions.event import event_text

ROW: dict[str, Any] = {
    "definer": "o@b@%",
    "event_definition": "DELETE FROM t",
    "execute_at": None,
    "interval_value": "1:30",
    "interval_field": "HOUR_MINUTE",
    "starts": "2030-01-01 09:00:00",
    "ends": None,
    "status": "SLAVESIDE_DISABLED",
    "on_completion": "NOT PRESERVE",
    "event_comment": "",
}
ONCE = {"execute_at": "2031-05-06 07:08:09", "interval_value": None, "starts": None, "status": "ENABLED"}


@pytest.mark.parametrize(
    ("changes", "schedule"),
    [
        (
            {},
            "EVERY '1:30' HOUR_MINUTE STARTS '2030-01-01 09:00:00' ON COMPLETION NOT PRESERVE "
            "DISABLE ON SLAVE",
        ),
        ({"ends": "2032-01-01 00:00:00", "status": "DISABLED"}, "ENDS '2032-01-01 00:00:00' ON COMPLETION"),
        (ONCE, "AT '2031-05-06 07:08:09' ON COMPLETION NOT PRESERVE ENABLE DO"),
        ({"event_comment": "it's"}, "COMMENT 'it\\'s' DO"),
    ],
)
def test_its_schedule(changes: dict[str, Any], schedule: str) -> None:
    text = event_text("e`1", ROW | changes)
    assert text.startswith("CREATE DEFINER=`o@b`@`%` EVENT `e``1` ON SCHEDULE ")
    assert schedule in text
    assert text.endswith(" DO DELETE FROM t")
