"""`make up`, `make down` and the process between them, which keeps everything running in the background.

    python -m tests.cluster.up start | stop | serve

The serving process owns all others; when it ends, however it does, they end and their folder goes. State is
in .run/: `env` (how to reach everything), `pid`, `log`.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.cluster.control_plane import control_plane
from tests.cluster.database import Database, mariadb
from tests.cluster.lab import (
    BUCKET,
    NAMESPACE,
    ROOT,
    Lab,
    Secrets,
    apply_crds,
    make_namespace,
    start_controller,
    worker_node,
)
from tests.cluster.object_store import rclone_store
from tests.cluster.processes import Processes
from tests.cluster.sample_schema import sample_schema
from tests.cluster.tidb_server import tidb

RUN = ROOT / ".run"
ENV, PID, LOG = RUN / "env", RUN / "pid", RUN / "log"

_START_SECONDS = 120.0
_STOP_SECONDS = 30.0


def main(verb: str) -> int:
    """Run one verb; returns the exit code."""
    match verb:
        case "start":
            return start()
        case "stop":
            return stop()
        case "serve":
            asyncio.run(serve())
            return 0
    print("usage: python -m tests.cluster.up start|stop|serve", file=sys.stderr)
    return 2


def start() -> int:
    """Start the serving process in the background and wait until everything is ready."""
    if running_pid() is not None:
        print(f"already up, see {ENV.relative_to(ROOT)}; `make down` stops it")
        return 0
    RUN.mkdir(exist_ok=True)
    ENV.unlink(missing_ok=True)
    with LOG.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.up", "serve"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return _wait_until_up(process)


def _wait_until_up(process: subprocess.Popen[bytes]) -> int:
    shown = 0
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        lines = LOG.read_text(errors="replace").splitlines()
        for line in lines[shown:]:
            print(f"  {line}", flush=True)
        shown = len(lines)
        if ENV.exists():
            return 0
        if process.poll() is not None:
            print(
                f"it did not come up (exit {process.returncode}), see {LOG.relative_to(ROOT)}",
                file=sys.stderr,
            )
            return 1
        time.sleep(0.1)
    process.terminate()
    print(f"not up after {_START_SECONDS:.0f} s, see {LOG.relative_to(ROOT)}", file=sys.stderr)
    return 1


def stop() -> int:
    """Stop the serving process and with it everything it started."""
    pid = running_pid()
    if pid is None:
        print("nothing is up")
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while running_pid() is not None:
        if time.monotonic() > deadline:
            # Its reaper kills what it leaves behind.
            os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.1)
    ENV.unlink(missing_ok=True)
    PID.unlink(missing_ok=True)
    print("down")
    return 0


def running_pid() -> int | None:
    """The serving process, if it lives. A pid alone could be anybody's by now, so its command is read too."""
    try:
        pid = int(PID.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if b"tests.cluster.up" in command else None


async def serve() -> None:
    """Start everything and a TiDB beside it, write .run/env, and keep it running until SIGTERM or SIGINT."""
    RUN.mkdir(exist_ok=True)
    PID.write_text(str(os.getpid()))
    stop_wanted = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop_wanted.set)
    try:
        # The Secret of the examples holds one password: it is that of both servers.
        async with (
            complete_lab() as lab,
            tidb_shop(lab.plane.processes, lab.database.password) as beside,
        ):
            _write_env(lab, beside)
            await stop_wanted.wait()
    finally:
        for path in (ENV, PID):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


@asynccontextmanager
async def mariadb_shop(owned: Processes) -> AsyncIterator[Database]:
    """MariaDB with the sample schema."""
    _say("MariaDB with a sample shop")
    async with mariadb(owned) as server:
        await server.load(sample_schema())
        yield server


@asynccontextmanager
async def tidb_shop(owned: Processes, password: str | None = None) -> AsyncIterator[Database]:
    """TiDB with what it knows of the sample schema."""
    _say("TiDB with a sample shop")
    async with tidb(owned, password=password) as server:
        await server.load(sample_schema(for_tidb=True))
        yield server


@asynccontextmanager
async def complete_lab(
    shop: Callable[[Processes], AbstractAsyncContextManager[Database]] = mariadb_shop,
) -> AsyncIterator[Lab]:
    """All servers, the CRDs, a database, a bucket, a namespace with its Secrets, and the controller."""
    async with AsyncExitStack() as stack:
        _say("Kubernetes: etcd, API server, controller manager, scheduler")
        plane = await stack.enter_async_context(control_plane())
        _say("a node that runs pods as local processes")
        node = await stack.enter_async_context(worker_node(plane))
        database = await stack.enter_async_context(shop(plane.processes))
        _say("S3 (rclone serve s3)")
        store = await stack.enter_async_context(rclone_store(plane.processes))
        await store.create_bucket(BUCKET)
        _say("CRDs, namespace and Secrets")
        await apply_crds(plane)
        await plane.renew_controllers()
        secrets = Secrets(database.password, store.access_key, store.secret_key)
        await make_namespace(plane, NAMESPACE, secrets)
        _say("the controller")
        controller = await start_controller(plane)
        yield Lab(plane, node, database, store, controller)


def environment(lab: Lab, beside: Database) -> dict[str, str]:
    """How to reach everything, `beside` included, as variables of a shell."""
    values = {
        "KUBECONFIG": lab.plane.kubeconfig,
        "KUBECTL": lab.plane.kubectl,
        "S3_ENDPOINT": lab.store.endpoint,
        "AWS_ACCESS_KEY_ID": lab.store.access_key,
        "AWS_SECRET_ACCESS_KEY": lab.store.secret_key,
        "DB_HOST": lab.database.host,
        "DB_PORT": lab.database.port,
        "DB_USER": lab.database.user,
        "DB_PASSWORD": lab.database.password,
        "TIDB_HOST": beside.host,
        "TIDB_PORT": beside.port,
        "TIDB_USER": beside.user,
        "TIDB_PASSWORD": beside.password,
        "BUCKET": lab.bucket,
        "NAMESPACE": lab.namespace,
        "METRICS_URL": f"{lab.controller.url}/metrics",
        "CONTROLLER_LOG": lab.controller.child.log,
    }
    return {name: str(value) for name, value in values.items()}


def _write_env(lab: Lab, beside: Database) -> None:
    text = "".join(f"{name}={value}\n" for name, value in environment(lab, beside).items())
    # Written beside and renamed: whoever sees the file sees all of it. Passwords are in it.
    part = ENV.with_suffix(".part")
    part.touch(0o600)
    part.write_text(text)
    part.replace(ENV)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) == 2 else ""))
