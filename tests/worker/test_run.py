"""What a run begins with: the login, judged without a server."""

from pathlib import Path

import attrs
import pytest

from tests.worker.test_main import environ
from tidbbackup.model import reasons
from tidbbackup.model.contract.task import DatabaseTarget
from tidbbackup.worker.environment import Environment, read_environment
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.run import read_login


@pytest.fixture
def over_tls(tmp_path: Path) -> Environment:
    env = read_environment(environ(tmp_path, {"DB_PASSWORD": "x", "DB_TLS_DIR": str(tmp_path / "tls")}))
    (tmp_path / "tls").mkdir()
    return attrs.evolve(env, task=attrs.evolve(env.task, database=DatabaseTarget("db", 4000, tls=True)))


@pytest.mark.parametrize("names", [["ca.crt"], ["ca.crt", "tls.crt", "tls.key"]])
def test_a_secret_of_certificates(over_tls: Environment, names: list[str]) -> None:
    for name in names:
        (over_tls.db_tls / name).touch()
    assert read_login(over_tls).tls == over_tls.db_tls


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "needs `ca.crt`, the CA of the database's certificate"),
        (["tls.crt", "tls.key"], "needs `ca.crt`"),
        (["ca.crt", "tls.crt"], "needs `tls.crt` and `tls.key` together, it has only `tls.crt`"),
        (["ca.crt", "tls.key"], "it has only `tls.key`"),
    ],
)
def test_a_secret_that_lacks_a_certificate_is_not_used_without(
    over_tls: Environment, names: list[str], words: str
) -> None:
    """Without a CA mydumper would tell its password to any server."""
    for name in names:
        (over_tls.db_tls / name).touch()
    with pytest.raises(StepFailed, match=r"spec\.from\.tlsClientSecretName") as caught:
        read_login(over_tls)
    assert caught.value.reason == reasons.LOGIN_FAILED
    assert words in str(caught.value)
