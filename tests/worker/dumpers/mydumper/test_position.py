"""The consistency point in mydumper's metadata file, of the versions that there are."""

import pytest

from tidbbackup.worker.dumpers.mydumper.position import read_position
from tidbbackup.worker.dumpers.position import Position

AS_OF_0_10 = """Started dump at: 2026-11-23 03:00:00
SHOW MASTER STATUS:
\tLog: binlog.000002
\tPos: 1234
\tGTID:0-1-5

SHOW SLAVE STATUS:
\tHost: other
\tLog: elsewhere.000007
\tPos: 99
\tGTID:9-9-9

Finished dump at: 2026-11-23 03:00:01
"""
AS_OF_0_16 = """# Started dump at: 2026-11-23 03:00:00
[config]
quote_character = BACKTICK

[source]
# Channel_Name = '' # It can be use to setup replication FOR CHANNEL
File = binlog.000002
Position = 1234
Executed_Gtid_Set = 0-1-5

[replication]
File = elsewhere.000007
Position = 99

# Finished dump at: 2026-11-23 03:00:01
"""


@pytest.mark.parametrize("text", [AS_OF_0_10, AS_OF_0_16, AS_OF_0_16.replace("source", "master")])
def test_the_servers_own_position(text: str) -> None:
    assert read_position(text) == Position("binlog.000002:1234", "0-1-5")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Started dump at: 2026-11-23 03:00:00\nFinished dump at: 2026-11-23 03:00:01\n",
        AS_OF_0_10.replace("MASTER", "SLAVE"),
        "SHOW MASTER STATUS:\n\tLog: binlog.000002\n",
    ],
)
def test_without_a_binary_log_there_is_none(text: str) -> None:
    assert read_position(text) == Position()


def test_without_gtids_the_offset_stands_alone() -> None:
    assert read_position(AS_OF_0_10.replace("GTID:0-1-5", "GTID:")) == Position("binlog.000002:1234")


@pytest.mark.parametrize("text", [AS_OF_0_10, AS_OF_0_16])
def test_gtids_of_several_servers_are_told_whole(text: str) -> None:
    """MySQL breaks the set after each comma, and mydumper writes it as it is: after a failover there are
    two, and half of them would set a replica to the wrong place."""
    first, second = "3E11FA47-71CA-11E1-9E33-C80AA9429562:1-77", "8a94f357-aab4-11df-86ab-c80aa9429562:1-5:7"
    several = text.replace("0-1-5", f"{first},\n{second},\n{first}")
    assert read_position(several) == Position("binlog.000002:1234", f"{first},{second},{first}")
