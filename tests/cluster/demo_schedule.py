"""The second part of `make demo`: a schedule at work, its first two due times and what retention does then.

Nothing is hurried along: a minute is the finest grain of cron, so it takes up to two.
"""

import asyncio
import re
from datetime import UTC, datetime

from tests.cluster.lab import Lab

NAME = "demo1-backup-schedule-s3"
LABEL = f"tidb.pingcap.com/backup-schedule={NAME}"
_PATIENCE_SECONDS = 180.0


def every_minute(example: str) -> str:
    """The specification's example, due as often as cron can be, and keeping one backup."""
    text = example.replace('schedule: "*/2 * * * *"', 'schedule: "* * * * *"')
    text = text.replace('maxReservedTime: "3h"', "maxBackups: 1")
    if "maxBackups: 1\n" not in text or '"* * * * *"' not in text:
        raise ValueError("the example is not the one that this demo knows")
    return re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE)


async def apply_schedule(lab: Lab) -> None:
    """Show it, apply it, and say what will be waited for."""
    manifest = every_minute(lab.example("backup-schedule-s3.yaml"))
    print(manifest.strip())
    print(await lab.plane.kubectl_run("apply", "-f", "-", input=manifest), end="")
    now = datetime.now(UTC)
    print(
        f"\nIt is {now:%H:%M:%S}. The first backup is due at the next full minute, in {60 - now.second} s; "
        "the second a minute\nlater, and once that is complete, retention (maxBackups: 1) deletes the first "
        "with its archive."
    )


async def watch_until_one_is_deleted(lab: Lab) -> bool:
    """Print what kubectl sees of the schedule's Backups until retention has deleted one; whether it has."""
    process = await asyncio.create_subprocess_exec(
        *(str(lab.plane.kubectl), "get", "bk", "-n", lab.namespace, "-l", LABEL),
        *("--watch", "--output-watch-events"),
        env=lab.plane.environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while line := (await process.stdout.readline()).decode().rstrip():
                print(f"{datetime.now(UTC):%H:%M:%S}  {line}", flush=True)
                if line.startswith("DELETED"):
                    return True
    except TimeoutError:
        print(f"nothing was deleted within {_PATIENCE_SECONDS:.0f} s")
    finally:
        process.terminate()
        await process.wait()
    return False
