"""Which tests stay in one process."""

import pytest

from tests.shared_out import together


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/decide/test_gc.py::test_one[a::b]", "tests/decide/test_gc.py"),
        ("tests/cluster/test_database.py::test_one", "tests/cluster/test_database.py"),
        ("tests/cluster/contract/test_ends.py::test_end[process-exit]", "tests/cluster/contract/"),
        ("tests/cluster/contract/test_jobs.py::test_job", "tests/cluster/contract/"),
        ("tests/simulation/test_seeds.py::test_all[20]", "tests/simulation/test_seeds.py::test_all[20]"),
        (
            "tests/integration/test_run_faults.py::test_the_storage_is_lost_halfway",
            "tests/integration/test_bad_input_failed.py",
        ),
    ],
)
def test_files_stay_whole_and_so_do_those_begun_together(nodeid: str, group: str) -> None:
    assert together(nodeid) == group
