"""The command line's verbs and options, with their help. Must not carry out any of them."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from tidbbackup import __version__
from tidbbackup.completion import SHELLS
from tidbbackup.settings import DEFAULT_PORT, Settings, read_lease, read_namespaces


def parser() -> argparse.ArgumentParser:
    """The parser; it ends the process with exit code 2 where the command line is wrong."""
    whole = argparse.ArgumentParser(
        prog="kubectl tidbbackup" if Path(sys.argv[0]).name == "kubectl-tidbbackup" else "tidbbackup",
        description="Backs up TiDB, MySQL and MariaDB to S3-compatible storage, on Kubernetes.",
    )
    whole.add_argument("--version", action="version", version=f"tidbbackup {__version__}")
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_controller(verbs.add_parser("controller", help="run the controller"))
    worker = verbs.add_parser("worker", help="the program in the Job; reads its environment")
    worker.add_argument("task", choices=("dump", "restore", "aftermath"))
    _add_cluster(
        verbs.add_parser("status", help="show in a cluster what runs, what failed, and the newest copies")
    )
    now = verbs.add_parser("run-now", help="have a schedule in a cluster make a Backup at once")
    now.add_argument("schedule", help="name of the BackupSchedule")
    _add_cluster(now)
    _add_files(verbs.add_parser("check", help="check the objects in files, without a cluster"), "")
    _add_run(verbs.add_parser("run", help="make the one Backup in a file on this machine, without a cluster"))
    _add_verify(verbs.add_parser("verify", help="check whether an archive in a bucket is whole"))
    _add_restore(verbs.add_parser("restore", help="load an archive of a bucket into a server"))
    _add_list(verbs.add_parser("list", help="list the archives in a bucket"))
    _add_adopt(verbs.add_parser("adopt", help="print Backups for the archives that a lost cluster has left"))
    explain = verbs.add_parser(
        "explain", help="show when the schedules in files are due, and which of the Backups there they keep"
    )
    _add_files(explain, "also from `kubectl get bks,bk -o yaml`")
    explain.add_argument(
        "--at", type=_moment, metavar="TIME", help="such as 2026-11-23T03:00:00Z (default: now)"
    )
    render = verbs.add_parser("render", help="print the Jobs of the Backups and Restores in files")
    _add_files(render, "")
    render.add_argument("--worker-image", default=Settings().worker_image)
    completion = verbs.add_parser(
        "completion", help="print a script that completes the command line in a shell"
    )
    completion.add_argument("shell", choices=SHELLS)
    return whole


def _add_files(parser: argparse.ArgumentParser, more: str) -> None:
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help=f"YAML files{', ' if more else ''}{more}, folders with such files, or - for standard input",
    )
    # As kubectl has it.
    parser.add_argument("-f", "--filename", action="append", default=[], metavar="FILE", help="the same")
    parser.set_defaults(usage_error=parser.error)


def _add_kubeconfig(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kubeconfig", metavar="FILE", help="default: $KUBECONFIG, then in-cluster, then ~/.kube/config"
    )
    parser.add_argument("--context", help="context of the kubeconfig")


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", "--namespace", default="", help="status: default is all; run-now: `default`")
    _add_kubeconfig(parser)


def _add_controller(parser: argparse.ArgumentParser) -> None:
    _add_kubeconfig(parser)
    parser.add_argument(
        "--namespaces", type=_namespaces, default=(), metavar="A,B", help="watch only these (default: all)"
    )
    image = os.environ.get("WORKER_IMAGE", Settings().worker_image)
    parser.add_argument("--worker-image", default=image, help="image of the worker's pods ($WORKER_IMAGE)")
    parser.add_argument(
        "--worker-pull-policy", default="IfNotPresent", choices=("IfNotPresent", "Always", "Never")
    )
    parser.add_argument("--metrics-host", default=Settings().metrics_host, help="address of /metrics")
    parser.add_argument("--metrics-port", type=_port, default=DEFAULT_PORT, help="0: any free port")
    parser.add_argument(
        "--workers",
        type=_positive,
        default=Settings().workers,
        help="reconciles at a time, a quarter of them in one namespace",
    )
    for name, meaning in (("namespace", "in one namespace"), ("server", "of one database server")):
        text = f"Backups that run at a time {meaning}; more wait their turn (default: 0, any number)"
        parser.add_argument(f"--max-running-per-{name}", type=_count, default=0, metavar="N", help=text)
    text = "work without a Lease; then no other controller may run"
    parser.add_argument("--no-leader-elect", dest="leader_elect", action="store_false", help=text)
    lease = Settings().lease
    text = f"of the controllers with the same Lease only one works (default: {'/'.join(lease)})"
    parser.add_argument("--lease", type=_lease, default=lease, metavar="NAMESPACE/NAME", help=text)
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.add_argument("--log-format", default="auto", choices=("auto", "json", "human"))


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Makes the Backup on this machine. Passwords and access keys: $DB_PASSWORD, $AWS_ACCESS_KEY_ID, "
        "$AWS_SECRET_ACCESS_KEY, $AWS_SESSION_TOKEN; if one is not set, it is asked for on a terminal."
    )
    parser.add_argument(
        "-f", "--file", required=True, metavar="FILE", help="a YAML file, or - for standard input"
    )
    parser.add_argument(
        "--staging", type=_folder, metavar="DIR", help="folder for the dump (default: $TMPDIR)"
    )
    parser.add_argument("--db-tls", type=Path, metavar="DIR", help="folder with ca.crt, tls.crt, tls.key")
    parser.add_argument("--s3-ca", type=Path, metavar="FILE", help="the CA of the storage's certificate")
    parser.add_argument("--log-level", default="warning", choices=("debug", "info", "warning", "error"))


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Reads and checks manifest and archive. Access keys: $AWS_ACCESS_KEY_ID, "
        "$AWS_SECRET_ACCESS_KEY, $AWS_SESSION_TOKEN, or the usual AWS chain."
    )
    parser.add_argument("url", help="s3://bucket/path/backup-….tgz, as in status.backupPath")
    _add_place(parser)


def _add_restore(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Loads an archive into a server and compares the rows. The password is $DB_PASSWORD, or is "
        "asked for on a terminal. Access keys: $AWS_ACCESS_KEY_ID, $AWS_SECRET_ACCESS_KEY, "
        "$AWS_SESSION_TOKEN, or the usual AWS chain."
    )
    parser.add_argument("url", help="s3://bucket/path/backup-….tgz, as in status.backupPath")
    parser.add_argument("--to", required=True, metavar="USER@HOST:PORT", help="the server to load into")
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="RULE",
        help="restore only these tables, as in spec.tableFilter; may be given again",
    )
    parser.add_argument(
        "--overwrite",
        default="never",
        choices=("never", "tables"),
        help="tables: drop those of the archive first, if they exist (default: never)",
    )
    parser.add_argument(
        "--database-suffix", default="", metavar="TEXT", help="restore each database under its name and this"
    )
    parser.add_argument("--drop", action="store_true", help="drop what was created once it is compared")
    parser.add_argument("--threads", type=_positive, default=4, help="connections that load (default: 4)")
    parser.add_argument("--db-tls", type=Path, metavar="DIR", help="folder with ca.crt, tls.crt, tls.key")
    parser.add_argument("--log-level", default="warning", choices=("debug", "info", "warning", "error"))
    _add_place(parser)


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.description = "Reads the manifests. Access keys as for verify."
    parser.add_argument("url", help="s3://bucket or s3://bucket/prefix")
    parser.add_argument("-o", "--output", default="table", choices=("table", "json"))
    _add_place(parser)


def _add_adopt(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Reads the manifests and prints a Backup for each whole archive: it is never run, and its archive is "
        "never deleted. Access keys as for verify."
    )
    parser.add_argument("url", help="s3://bucket or s3://bucket/prefix")
    parser.add_argument("-n", "--namespace", required=True, help="of the Backups")
    parser.add_argument(
        "--secret", default="", metavar="NAME", help="Secret in it with the access keys: spec.s3.secretName"
    )
    parser.add_argument(
        "--ca-secret", default="", metavar="NAME", help="Secret in it with ca.crt: spec.s3.caSecretName"
    )
    _add_place(parser)


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--provider", default="aws", help="as in spec.s3.provider (default: aws)")
    parser.add_argument("--endpoint", default="", metavar="URL", help="URL of the service, if it is not AWS")
    parser.add_argument("--region", default="")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="the CA of the storage's certificate")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    # Outside these years the next due time could not be computed.
    if moment is None or moment.tzinfo is None or not 2000 <= moment.year < 3000:
        raise argparse.ArgumentTypeError(f"{text} is not a time such as 2026-11-23T03:00:00Z, with its zone")
    return moment.astimezone(UTC)


def _folder(text: str) -> Path:
    if not (Path(text).is_dir() and os.access(text, os.W_OK)):
        raise argparse.ArgumentTypeError(f"{text} is not a folder that can be written to")
    return Path(text)


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")
    return int(text)


def _namespaces(text: str) -> tuple[str, ...]:
    try:
        return read_namespaces(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _lease(text: str) -> tuple[str, str]:
    try:
        return read_lease(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 on")
    return int(text)


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return int(text)
