"""`tidbbackup run` as far as it gets without a server: what it refuses, what it asks, what it leaves.

Here is also what local_worker.py promises.
"""

import asyncio
import io
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.test_offline import GOOD, LOST, SCHEDULE, checked
from tidbbackup.cli import main
from tidbbackup.local_worker import Ask, Here
from tidbbackup.model.contract.result import Outcome, WorkerResult
from tidbbackup.run import run
from tidbbackup.screen import Screen
from tidbbackup.worker import main as worker
from tidbbackup.worker.environment import Environment
from tidbbackup.worker.failure import Journal, StepFailed

TLS = GOOD.replace("secretName: db}", "secretName: db, tlsClientSecretName: tls}")
OWN_CA = GOOD.replace("secretName: s3}", "secretName: s3, caSecretName: ca}")
IN_POD = GOOD.replace("secretName: s3}", "secretName: s3, options: [--ca-cert=/cas/my.pem]}") + (
    "  additionalVolumes: [{name: cas, configMap: {name: cas}}]\n"
    "  additionalVolumeMounts: [{name: cas, mountPath: /cas}]\n"
)
UNREACHABLE = (
    GOOD.replace("host: tidb", "host: 127.0.0.1, port: 9")
    .replace("provider: aws", "provider: ceph")
    .replace("bucket: my-bucket", "bucket: my-bucket, endpoint: 'http://127.0.0.1:9'")
)
KEYS = {"DB_PASSWORD": "x", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


def ran(
    folder: Path,
    text: str,
    environ: dict[str, str] | None = None,
    here: Here | None = None,
    ask: Ask | None = None,
) -> tuple[int, str]:
    """Exit code and what is said; standard output stays empty."""
    file, out, err = folder / "file.yaml", io.StringIO(), io.StringIO()
    file.write_text(text)
    given = KEYS if environ is None else environ
    code = run(str(file), here or Here(), given, ask, out, Screen(err))
    assert out.getvalue() == ""
    return code, err.getvalue()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (SCHEDULE, "holds no Backup; to run a schedule's once, put its backupTemplate as spec into one"),
        (f"{GOOD}---{GOOD.replace('demo', 'other')}", "holds 2 Backups (Backup demo, Backup other)"),
        ("a: b", "holds something without apiVersion or without kind"),
        (": :", "not YAML"),
        (LOST, "has no metadata.name"),
    ],
)
def test_a_file_without_the_one_backup(tmp_path: Path, text: str, why: str) -> None:
    code, said = ran(tmp_path, text)

    assert code == 2
    assert said.startswith(f"tidbbackup run: {tmp_path}/file.yaml: ")
    assert why in said


def test_other_documents_are_passed_over(tmp_path: Path) -> None:
    more = f"kind: Secret\napiVersion: v1\n---{SCHEDULE}---{UNREACHABLE}"

    code, said = ran(tmp_path, more)

    assert code == 1
    assert "DatabaseUnreachable in step preflight" in said


def test_what_is_invalid_is_told_as_check_does(tmp_path: Path) -> None:
    bad = GOOD.replace("my-bucket", "ab").replace("host: tidb", "host: --exec=sh, port: 70000")
    code, said = ran(tmp_path, bad)
    _, told = checked(tmp_path, bad)

    assert code == 3
    assert [line.removeprefix("Backup demo: ") for line in said.splitlines()] == [
        line.strip() for line in told.splitlines()[1:]
    ]


def test_what_has_no_effect_is_told(tmp_path: Path) -> None:
    _, said = ran(tmp_path, UNREACHABLE + "  toolImage: x\n")

    assert "warning: spec.toolImage has no effect\n" in said


@pytest.mark.parametrize(
    ("text", "environ", "names"),
    [
        (GOOD, {}, "DB_PASSWORD and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (GOOD, {"DB_PASSWORD": "x", "AWS_ACCESS_KEY_ID": "y"}, "AWS_SECRET_ACCESS_KEY"),
        (GOOD.replace(", secretName: s3", ""), {}, "DB_PASSWORD"),
    ],
)
def test_without_a_terminal_the_variable_is_named(
    tmp_path: Path, text: str, environ: dict[str, str], names: str
) -> None:
    code, said = ran(tmp_path, text, environ)

    assert (code, said) == (2, f"tidbbackup run: {names} must be set: there is no terminal to ask on\n")


def test_on_a_terminal_what_is_missing_is_asked_for(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return "answer"

    code, said = ran(tmp_path, UNREACHABLE, {"AWS_ACCESS_KEY_ID": "a"}, ask=ask)

    assert code == 1
    assert "DatabaseUnreachable" in said
    assert asked == [
        "Password of root@127.0.0.1:9 (DB_PASSWORD): ",
        "Secret key for the bucket my-bucket (AWS_SECRET_ACCESS_KEY): ",
    ]


@pytest.mark.parametrize("nothing", [EOFError, KeyboardInterrupt])
def test_no_answer(tmp_path: Path, nothing: type[BaseException]) -> None:
    def ask(_: str) -> str:
        raise nothing

    assert ran(tmp_path, GOOD, {}, ask=ask) == (
        2,
        "tidbbackup run: no answer; set DB_PASSWORD and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY\n",
    )


@pytest.mark.parametrize(
    ("text", "here", "why"),
    [
        (
            TLS,
            lambda _: Here(),
            "spec.from.tlsClientSecretName is tls: give what is in that Secret with --db-tls",
        ),
        (
            OWN_CA,
            lambda _: Here(),
            "spec.s3.caSecretName is ca: give what is in that Secret with --s3-ca FILE",
        ),
        (
            GOOD,
            lambda folder: Here(db_tls=folder),
            "--db-tls has no effect unless spec.from.tlsClientSecretName",
        ),
        (IN_POD, lambda _: Here(), "--ca-cert in spec.s3.options is /cas/my.pem, which is not here: give"),
        (GOOD, lambda folder: Here(s3_ca=folder), "--s3-ca has no effect unless spec.s3.caSecretName is set"),
        (TLS, lambda folder: Here(db_tls=folder / "no"), "/no: no such folder"),
        (TLS, lambda folder: Here(db_tls=folder), ": has no ca.crt, the CA of the database's certificate"),
        (OWN_CA, lambda folder: Here(s3_ca=folder), ": no such file"),
    ],
)
def test_certificates_are_neither_missing_nor_useless(
    tmp_path: Path, text: str, here: Callable[[Path], Here], why: str
) -> None:
    code, said = ran(tmp_path, text, here=here(tmp_path))

    assert code == 2
    assert why in said


def test_nothing_of_the_folder_for_the_dump_is_touched_and_nothing_is_left(tmp_path: Path) -> None:
    staging = tmp_path / "staging"
    (staging / "dump").mkdir(parents=True)
    (staging / "dump" / "mine").write_text("dear")

    code, _ = ran(tmp_path, UNREACHABLE, here=Here(staging))

    assert code == 1
    assert [path.relative_to(staging).as_posix() for path in sorted(staging.rglob("*"))] == [
        "dump",
        "dump/mine",
    ]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Environment, bytes | None]]:
    """What the worker is given: its environment, and the storage's CA as it finds it."""
    found: list[tuple[Environment, bytes | None]] = []

    async def dump(env: Environment, *_: object) -> WorkerResult:
        found.append((env, env.s3_ca.read_bytes() if env.s3_ca else None))
        raise StepFailed("Seen", "enough")

    monkeypatch.setattr(worker, "dump", dump)
    return found


def test_a_token_goes_only_with_its_own_keys(
    tmp_path: Path, seen: list[tuple[Environment, bytes | None]]
) -> None:
    token = {"AWS_SESSION_TOKEN": "t"}
    ran(tmp_path, GOOD, KEYS | token)
    ran(tmp_path, GOOD, {"DB_PASSWORD": "x"} | token, ask=lambda _: "typed")

    assert [dict(env.keys) for env, _ in seen] == [
        {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "t"},
        {"AWS_ACCESS_KEY_ID": "typed", "AWS_SECRET_ACCESS_KEY": "typed"},
    ]


def test_an_empty_token_is_none_in_a_shell(
    tmp_path: Path, seen: list[tuple[Environment, bytes | None]]
) -> None:
    ran(tmp_path, GOOD, KEYS | {"AWS_SESSION_TOKEN": ""})
    assert [dict(env.keys) for env, _ in seen] == [{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}]


def test_each_run_has_a_uid_of_its_own_whatever_the_file_says(
    tmp_path: Path, seen: list[tuple[Environment, bytes | None]]
) -> None:
    applied = GOOD.replace("namespace: ns", "namespace: ns, uid: in-the-cluster")
    ran(tmp_path, applied)
    ran(tmp_path, applied)

    assert len({"in-the-cluster", *(env.task.uid for env, _ in seen)}) == 3
    assert len({env.task.target.key for env, _ in seen}) == 2


def test_the_worker_finds_the_certificates(
    tmp_path: Path, seen: list[tuple[Environment, bytes | None]]
) -> None:
    (tmp_path / "my-ca.pem").write_text("a certificate")
    (tmp_path / "ca.crt").write_text("the database's")
    both = TLS.replace("secretName: s3}", "secretName: s3, caSecretName: ca}")

    assert ran(tmp_path, both, here=Here(db_tls=tmp_path, s3_ca=tmp_path / "my-ca.pem"))[0] == 1
    assert ran(tmp_path, GOOD)[0] == 1
    assert ran(tmp_path, IN_POD, here=Here(s3_ca=tmp_path / "my-ca.pem"))[0] == 1
    assert (seen[0][0].db_tls, seen[0][1]) == (tmp_path, b"a certificate")
    assert seen[1][1] is None
    assert (seen[2][1], seen[2][0].task.target.transfer.caFile) == (b"a certificate", "")


@pytest.mark.parametrize("held", [False, True])
def test_a_life_time_that_may_still_be_raised_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    async def dump(_: Environment, journal: Journal, *__: object) -> WorkerResult:
        journal.life_time_held = held
        raise StepFailed("DatabaseLost", "gone")

    monkeypatch.setattr(worker, "dump", dump)
    code, said = ran(tmp_path, GOOD)

    assert code == 1
    assert ("SELECT * FROM mysql.tidb WHERE variable_name = 'tikv_gc_life_time'" in said) is held
    assert ("set value and comment back to it with UPDATE" in said) is held


_ASKED_AT_EACH_LINE = """
import io, os, shutil, signal, sys, tempfile
from pathlib import Path
from tidbbackup import run
from tidbbackup.screen import Screen
from tidbbackup.worker import main as worker
from tidbbackup.worker.failure import StepFailed

FILE, FOLDER, NUMBER = Path(sys.argv[1]), Path(sys.argv[2]), signal.Signals[sys.argv[3]]
TRACED = {module.__file__ for module in (run, shutil, tempfile)}
KEYS = dict.fromkeys(("DB_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "x")
run._IN_MEMORY = FOLDER

async def dump(env, *_):
    (env.staging / "dump").mkdir(parents=True, exist_ok=True)
    raise StepFailed("Seen", "enough")

worker.dump = dump

def child(line):
    # The signal comes at this line of those that run once there is a folder.
    left = line

    def trace(frame, event, _):
        nonlocal left
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line" and any(FOLDER.iterdir()):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), NUMBER)
        return trace

    sys.settrace(trace)
    try:
        run.run(str(FILE), run.Here(FOLDER), KEYS, None, io.StringIO(), Screen(io.StringIO()))
    finally:
        os._exit(int(left > 0))

line, asked = 0, True
while asked:
    line += 1
    if not (pid := os.fork()):
        child(line)
    asked = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 1
    for each in FOLDER.iterdir():
        print("left at line", line)
        shutil.rmtree(each)
print(line > 50)
"""


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_asked_to_end_at_any_line_it_leaves_no_folder(tmp_path: Path, number: str) -> None:
    """From the first folder on to the removal of the last."""
    file, folder = tmp_path / "file.yaml", tmp_path / "folder"
    file.write_text(GOOD)
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _ASKED_AT_EACH_LINE, file, folder, number],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "True\n", done.stderr


class _Heard(io.StringIO):
    """Standard output, and whether anything has been said there."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.Event()

    def write(self, text: str) -> int:
        self.heard.set()
        return super().write(text)


def test_a_backup_that_is_complete_is_told_without_waiting_for_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio joins its pool before it ends: one may stand in a look-up at a silent name server."""
    out, waited = _Heard(), []

    async def dump(*_: object) -> WorkerResult:
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, lambda: waited.append(out.heard.wait(5)))
        now = datetime.now(UTC)
        return WorkerResult(Outcome.COMPLETE, started=now, finished=now, path="s3://b/k.tgz")

    monkeypatch.setattr(worker, "dump", dump)
    (tmp_path / "file.yaml").write_text(GOOD)
    assert run(str(tmp_path / "file.yaml"), Here(), KEYS, None, out, Screen(io.StringIO())) == 0
    assert out.getvalue().startswith("Complete: s3://b/k.tgz\n")
    assert waited == [True]


def test_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for argv, why in (
        ([], "-f/--file"),
        (["-f", "x", "--staging", str(tmp_path / "no")], "no is not a folder that can be written to"),
        (["-f", "x", "--log-level", "loud"], "invalid choice: 'loud'"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["run", *argv])
        assert ended.value.code == 2
        assert why in capsys.readouterr().err


def test_no_such_file(tmp_path: Path) -> None:
    err = io.StringIO()

    assert run(str(tmp_path / "no"), Here(), KEYS, None, io.StringIO(), Screen(err)) == 2
    assert err.getvalue().endswith("/no: No such file or directory\n")
