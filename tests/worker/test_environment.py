"""The worker's environment."""

from pathlib import Path

import pytest

from tidbbackup.model.contract.task import DatabaseTarget, WorkerTask, encode_task
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.worker.environment import read_environment
from tidbbackup.worker.failure import UsageError

TASK = WorkerTask(
    "demo", "ns", "uid", ObjectTarget("ceph", "b", "k.tgz", customCa=True), DatabaseTarget("db")
)


def test_everything_comes_from_the_environment() -> None:
    env = read_environment(
        {
            "TIDBBACKUP_TASK": encode_task(TASK),
            "DB_PASSWORD": "ü\udcff",
            "AWS_ACCESS_KEY_ID": "",
            "STAGING_DIR": "/s",
            "RUN_DIR": "/r",
            "DB_TLS_DIR": "/d",
            "S3_TLS_DIR": "/t",
            "TERMINATION_LOG": "/l",
            "PATH": "/p",
        }
    )
    assert env.task == TASK
    assert env.password == b"\xc3\xbc\xff", "bytes as they were"
    assert env.keys == {"AWS_ACCESS_KEY_ID": ""}, "empty is not absent"
    assert (env.staging, env.run_dir, env.db_tls) == (Path("/s"), Path("/r"), Path("/d"))
    assert (env.s3_ca, env.termination_log, env.search_path) == (Path("/t/ca.crt"), Path("/l"), "/p")


def test_defaults_are_the_images_paths() -> None:
    env = read_environment({"TIDBBACKUP_TASK": encode_task(TASK)})
    assert (env.staging, env.termination_log) == (Path("/backup"), Path("/dev/termination-log"))
    assert env.password is None


def test_secrets_are_in_no_repr() -> None:
    secrets = {"DB_PASSWORD": "canary", "AWS_SECRET_ACCESS_KEY": "canary"}
    assert "canary" not in repr(read_environment({"TIDBBACKUP_TASK": encode_task(TASK), **secrets}))


NEWER = encode_task(TASK).replace('"formatVersion":1', '"formatVersion":99')


@pytest.mark.parametrize("text", [None, "", "{", "[]", NEWER])
def test_no_task_is_a_usage_error(text: str | None) -> None:
    with pytest.raises(UsageError, match="TIDBBACKUP_TASK"):
        read_environment({} if text is None else {"TIDBBACKUP_TASK": text})
