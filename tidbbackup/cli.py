"""The command line: one command for each use; no command has logic of its own.

Exit codes: 0 ok, 1 failed, 2 usage, 3 invalid, 143 stopped by SIGTERM, 130 by SIGINT (Ctrl-C).
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from getpass import getpass
from typing import TYPE_CHECKING, TextIO, cast

from tidbbackup.arguments import parser
from tidbbackup.settings import Settings

if TYPE_CHECKING:
    from tidbbackup.cluster_verbs import Asked
    from tidbbackup.place import Place

OK, FAILED, USAGE, INVALID = 0, 1, 2, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    _end_at_once_on(signal.SIGTERM)
    options = parser().parse_args(argv)
    match options.verb:
        case "controller":
            return _controller(options)
        case "worker":
            return _worker(options)
        case "check":
            from tidbbackup.offline import check

            return check(_files(options), sys.stdout, sys.stderr)
        case "run":
            return _run(options)
        case "verify":
            from tidbbackup.verify import verify

            return verify(options.url, _place(options), os.environ, sys.stdout, sys.stderr)
        case "restore":
            return _restore(options)
        case "list":
            from tidbbackup.listing import list_archives

            place = _place(options)
            return list_archives(options.url, place, options.output, os.environ, sys.stdout, sys.stderr)
        case "adopt":
            from tidbbackup.adopt import Adoption, adopt

            adoption = Adoption(options.namespace, options.secret, options.ca_secret)
            return adopt(options.url, _place(options), adoption, os.environ, sys.stdout, sys.stderr)
        case "status":
            from tidbbackup.cluster_verbs import status

            return status(_asked(options), sys.stdout, sys.stderr)
        case "run-now":
            from tidbbackup.cluster_verbs import run_now

            return run_now(_asked(options), options.schedule, sys.stdout, sys.stderr)
        case "completion":
            from tidbbackup.completion import completion

            return completion(parser(), options.shell, sys.stdout, sys.stderr)
        case "explain":
            from tidbbackup.explain import explain

            at = options.at or datetime.now(UTC).replace(microsecond=0)
            return explain(_files(options), at, sys.stdout, sys.stderr)
        case _:
            from tidbbackup.offline import render

            return render(_files(options), options.worker_image, sys.stdout, sys.stderr)


def _files(options: argparse.Namespace) -> list[str]:
    # Ends like every other program if its output is cut off, as by `| head`.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    files = [*options.files, *options.filename]
    if not files:
        options.usage_error("name a file, a folder, or - for standard input")
    return files


def _asked(options: argparse.Namespace) -> Asked:
    from tidbbackup.cluster_verbs import Asked

    return Asked(options.kubeconfig, options.context, options.namespace)


def _place(options: argparse.Namespace) -> Place:
    from tidbbackup.place import Place

    return Place(options.provider, options.endpoint, options.region, options.ca)


def _restore(options: argparse.Namespace) -> int:
    from tidbbackup.logs import set_up_logging
    from tidbbackup.model.contract.task import RestoreSettings
    from tidbbackup.restore import Asked, restore
    from tidbbackup.screen import Screen

    screen = Screen(sys.stderr)
    set_up_logging(options.log_level, "human", cast(TextIO, screen))
    settings = RestoreSettings(
        tuple(options.filter),
        options.overwrite == "tables",
        options.threads,
        databaseSuffix=options.database_suffix,
        drop=options.drop,
    )
    asked = Asked(options.url, options.to, _place(options), settings, options.db_tls)
    ask = getpass if sys.stdin.isatty() else None
    return restore(asked, os.environ, ask, sys.stdout, screen)


def _run(options: argparse.Namespace) -> int:
    from tidbbackup.local_worker import Here
    from tidbbackup.logs import set_up_logging
    from tidbbackup.run import run
    from tidbbackup.screen import Screen

    screen = Screen(sys.stderr)
    set_up_logging(options.log_level, "human", cast(TextIO, screen))
    here = Here(options.staging, options.db_tls, options.s3_ca)
    ask = getpass if sys.stdin.isatty() else None
    return run(options.file, here, os.environ, ask, sys.stdout, screen)


def _end_at_once_on(number: signal.Signals) -> None:
    # Before the imports, which take seconds on a busy node: for PID 1 the kernel ignores a signal without a
    # handler, and what begins later would be killed. Dying here: nothing has begun, and nothing is left for
    # the next run. An event loop replaces this handler by its own.
    signal.signal(number, lambda *_: os._exit(128 + number))


def _controller(options: argparse.Namespace) -> int:
    _end_at_once_on(signal.SIGINT)
    # The first lists would be searched for garbage again and again: most of the start. The controller enables
    # it once its caches are filled.
    gc.disable()
    # Imported here: the worker does not import the Kubernetes client, so it starts sooner.
    import asyncio

    from tidbbackup import controller
    from tidbbackup.kube.errors import KubeError
    from tidbbackup.logs import set_up_logging
    from tidbbackup.observability import CannotListen

    set_up_logging(options.log_level, options.log_format)
    settings = Settings(
        kubeconfig=options.kubeconfig,
        context=options.context,
        namespaces=options.namespaces,
        worker_image=options.worker_image,
        worker_pull_policy=options.worker_pull_policy,
        metrics_host=options.metrics_host,
        metrics_port=options.metrics_port,
        workers=options.workers,
        max_running_per_namespace=options.max_running_per_namespace,
        max_running_per_server=options.max_running_per_server,
        leader_elect=options.leader_elect,
        lease=options.lease,
    )
    try:
        asyncio.run(controller.run(settings))
    except (controller.CannotStart, KubeError, CannotListen) as error:
        print(f"tidbbackup controller: {error}", file=sys.stderr)
        return FAILED
    return OK


def _worker(options: argparse.Namespace) -> int:
    # Objects that imports make stay: searching them for garbage would take a tenth of the start.
    gc.disable()
    from tidbbackup.worker.main import main as work

    gc.freeze()
    gc.enable()
    return work(options.task, os.environ, leave=os._exit)
