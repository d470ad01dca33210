"""What a dumper's end means, whatever its words are."""

from functools import partial

from tidbbackup.worker.dumpers.verdict import judge as judge_any

judge = partial(judge_any, "mydumper", [("never said", "", "")])


def test_exit_code_and_log_decide_together() -> None:
    assert judge(0, "") is None
    assert judge(0, "Failed to set time zone: x") is not None, "exit 0 is no proof"
    silent = judge(1, "")
    assert silent is not None
    assert "exit code 1" in str(silent)
    crashed = judge(-11, "")
    assert crashed is not None
    assert "SIGSEGV" in str(crashed)
