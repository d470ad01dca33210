"""`make demo`: a backup and its restore on real parts, as their user sees them, in half a minute; a schedule.

Everything is started for it and stopped after it; nothing of a `make up` beside it is touched.
"""

import asyncio
import signal
import sys
import time

from tests.cluster.comparison import content
from tests.cluster.database import Database
from tests.cluster.demo_schedule import LABEL, apply_schedule, watch_until_one_is_deleted
from tests.cluster.demo_schedule import NAME as SCHEDULE
from tests.cluster.lab import Lab
from tests.cluster.tidb_server import tidb
from tests.cluster.up import complete_lab, tidb_shop

NAME = "demo1-backup-s3"
RESTORE = "demo1-restore"
_PATIENCE_SECONDS = 60.0


async def demo() -> int:
    """Show it; returns 0 if the archive equals the database."""
    began = time.monotonic()
    title("Starting everything, for real")
    async with complete_lab(tidb_shop) as lab:
        await apply_example(lab, "backup-s3.yaml", "the specification's first example")
        if not await watch_until_done(lab, "bk", NAME):
            await show(lab, "describe", "bk", NAME)
            print(lab.controller.log())
            return 1
        await show(lab, "describe", "bk", NAME, only="Events:")
        await show_bucket(lab)
        equal = await restore(lab)
        took = time.monotonic() - began
        retained = await show_schedule(lab)
        closing(took, time.monotonic() - began)
    return 0 if equal and retained else 1


async def apply_example(lab: Lab, name: str, what: str, **target: object) -> None:
    """One of the examples, with its placeholders filled in."""
    manifest = lab.example(name, **target)
    title(f"kubectl apply -f {name}     ({what})")
    print(manifest.strip())
    print(await lab.plane.kubectl_run("apply", "-f", "-", input=manifest), end="")


async def watch_until_done(lab: Lab, kind: str, name: str) -> bool:
    """Print the table of kubectl as it changes until a Backup or Restore is over; whether it is Complete."""
    title(f"kubectl get {kind} -n {lab.namespace} -owide --watch")
    process = await asyncio.create_subprocess_exec(
        *(str(lab.plane.kubectl), "get", kind, name, "-n", lab.namespace, "-owide", "--watch"),
        env=lab.plane.environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    phase = ""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while phase not in ("Complete", "Failed", "Invalid"):
                line = (await process.stdout.readline()).decode().rstrip()
                print(line, flush=True)
                phase = [*line.split(), "", ""][1]
    except TimeoutError:
        print(f"not over after {_PATIENCE_SECONDS:.0f} s")
    finally:
        process.terminate()
        await process.wait()
    return phase == "Complete"


async def show(lab: Lab, *args: str, only: str = "") -> None:
    """Print what kubectl says, from the line that starts with `only` on."""
    title(f"kubectl {' '.join(args)} -n {lab.namespace}" + (f" | sed -n '/{only}/,$p'" if only else ""))
    text = await lab.plane.kubectl_run(*args, "-n", lab.namespace)
    print(text[text.find(only) :].rstrip())


async def show_bucket(lab: Lab) -> None:
    """List the bucket."""
    title(f"The bucket {lab.bucket}")
    objects = await lab.store.objects(lab.bucket)
    for key, size in objects.items():
        print(f"{size:>10}  {key}")
    print(f"open multipart uploads: {len(await lab.store.uploads(lab.bucket))}")


async def restore(lab: Lab) -> bool:
    """Restore it into an empty server by kubectl and compare that with the source, table by table."""
    async with tidb(lab.plane.processes, name="second") as second:
        secret = ("create", "secret", "generic", "restore-demo1-tidb-secret", "-n", lab.namespace)
        await lab.plane.kubectl_run(*secret, f"--from-literal=password={second.password}")
        target = {"target_host": second.host, "target_port": second.port, "target_user": second.user}
        await apply_example(lab, "restore-s3.yaml", "into an empty TiDB", **target)
        if not await watch_until_done(lab, "rt", RESTORE):
            await show(lab, "describe", "rt", RESTORE)
            return False
        await show(lab, "describe", "rt", RESTORE, only="Events:")
        return await compare(lab.database, second)


async def compare(database: Database, restored: Database) -> bool:
    """All that is in the two, table by table; whether it is equal."""
    title("The two databases, read and compared")
    source, copy = await content(database), await content(restored)
    for (schema, name), table in sorted(source.tables.items()):
        same = copy.tables.get((schema, name)) == table
        _, rows, digest, _ = table
        verdict = "equal" if same else "DIFFERENT"
        print(f"{schema + '.' + name:<22}{rows:>7} rows   sha256 {digest[:12]}   {verdict}")
    kinds = ", ".join(sorted({kind.lower() for kind, _, _ in source.programs}))
    same = source.programs == copy.programs
    print(f"{len(source.programs)} others ({kinds}): {'equal' if same else 'DIFFERENT'}")
    return source == copy


async def show_schedule(lab: Lab) -> bool:
    """A schedule through its first two due times; whether retention then deleted the first backup."""
    title("kubectl apply -f backup-schedule-s3.yaml     (every minute, keeping one; Ctrl-C ends the demo)")
    await apply_schedule(lab)
    title(f"kubectl get bk -n {lab.namespace} -l {LABEL} --watch --output-watch-events")
    retained = await watch_until_one_is_deleted(lab)
    await show(lab, "get", "bks", "-owide")
    await show(lab, "describe", "bks", SCHEDULE, only="Events:")
    await show_bucket(lab)
    return retained


def closing(main_job: float, seconds: float) -> None:
    """What was seen and what to try next."""
    title("What just happened")
    print(
        "The controller saw the Backup, made a Job for it, and followed the Job's pod. In the pod mydumper\n"
        "dumped the TiDB at one TSO (COMMITTS), and the dump was packed, compressed and sent to S3 as one\n"
        "stream. Only when its size was checked and the manifest written was the Backup Complete. The\n"
        "Restore streamed it into an empty TiDB and counted the rows of each table there. The\n"
        "schedule made a Backup at each due time, named after it, and deleted the one that its maxBackups\n"
        "no longer keeps."
    )
    title("Try next")
    print(
        "make up                     the same, kept running in the background\n"
        "set -a; . .run/env          then: $KUBECTL get bk -n test1 -owide\n"
        "$KUBECTL explain backup.spec.s3\n"
        "make down                   stop it all"
    )
    print(
        f"\n({main_job:.0f} s for the main job, {seconds:.0f} s with the schedule's two due times; "
        "everything is being stopped now)"
    )


def title(text: str) -> None:
    """A line that sets a part off from the last."""
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def main() -> int:
    """Run the demo; Ctrl-C stops everything it started."""
    with asyncio.Runner() as runner:
        task = runner.get_loop().create_task(demo())
        runner.get_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            return runner.run(_await(task))
        except (KeyboardInterrupt, asyncio.CancelledError):
            print("stopped")
            return 130


async def _await(task: "asyncio.Task[int]") -> int:
    return await task


if __name__ == "__main__":
    sys.exit(main())
