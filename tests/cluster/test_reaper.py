"""The reaper's list of what to kill."""

import os
import subprocess
import sys

from tests.cluster.reaper import is_alive, kill_all, surviving


def test_what_was_started_and_not_stopped_survives_newest_first() -> None:
    assert surviving(["+10 etcd\n", "+11 kube-apiserver\n", "+12 kubectl\n", "-11\n"]) == [12, 10]


def test_a_number_used_again_counts_as_started_again() -> None:
    assert surviving(["+10 a\n", "+11 b\n", "-10\n", "+10 c\n"]) == [10, 11]


def test_a_line_cut_short_by_a_crash_is_no_process_group() -> None:
    assert surviving(["+10 etcd\n", "+", "\n", "x"]) == [10]


def test_our_own_session_is_alive_and_one_that_cannot_be_is_not() -> None:
    assert is_alive(os.getsid(0))
    assert not is_alive(2**30)


def test_a_process_with_a_group_of_its_own_dies_with_its_session() -> None:
    script = "import os, time; os.fork() or os.setpgid(0, 0); print(flush=True); time.sleep(60)"
    leader = subprocess.Popen([sys.executable, "-c", script], start_new_session=True, stdout=subprocess.PIPE)
    assert leader.stdout is not None
    leader.stdout.read(2)  # both have written their line: the child has its group by now

    kill_all([leader.pid])

    leader.wait()
    leader.stdout.close()
    assert not is_alive(leader.pid)
