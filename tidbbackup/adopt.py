"""`tidbbackup adopt`: the Backup objects of a cluster that is lost, written from the manifests in the bucket.

Each has the annotation of the Backup that made the archive, so it is a copy of that: the controller never
runs it and never deletes its archive, and a Restore can name it. It reads manifests and writes nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO

import yaml
from attrs import frozen

from tidbbackup.decide.status import changes, enter
from tidbbackup.listing import Listed, find_archives
from tidbbackup.model.contract.result import MAX_DATABASES
from tidbbackup.model.names import API_VERSION, BEGUN_UID
from tidbbackup.model.reasons import ARCHIVE_FOUND
from tidbbackup.model.resource.backup import KIND, BackupSpec, BackupStatus, CleanPolicy, Phase, spec_to_wire
from tidbbackup.model.resource.storage_spec import S3Spec
from tidbbackup.model.units import format_duration, format_size
from tidbbackup.offline import PlainYaml
from tidbbackup.place import Place, Unusable, folder_of
from tidbbackup.storage.errors import StorageError

OK, FAILED, USAGE = 0, 1, 2

_HOW = (
    "# The first command creates the Backups, the second one writes their status:\n"
    "#   kubectl apply -f FILE\n"
    "#   kubectl replace --subresource=status -f FILE\n"
)


@frozen
class Adoption:
    """What the bucket cannot tell: the namespace, and its Secrets."""

    namespace: str
    secret: str = ""
    """With the access keys; empty: the pods have an identity of their own."""
    ca_secret: str = ""


def adopt(
    url: str, place: Place, adoption: Adoption, environ: Mapping[str, str], out: TextIO, err: TextIO
) -> int:
    """Print a Backup for each whole archive, and name those that are not; the exit code.

    Args:
        url: s3://bucket/prefix.
        place: the service.
        adoption: where the Backups are to be.
        environ: with the access keys.
        out: gets the YAML.
        err: gets everything else.
    """
    try:
        found = asyncio.run(find_archives(folder_of(url, place), place, environ))
    except (Unusable, StorageError) as error:
        print(f"tidbbackup adopt: {error}", file=err)
        return USAGE if isinstance(error, Unusable) else FAILED
    whole = [each for each in found if each.whole == "yes"]
    for each in found:
        if each.whole != "yes":
            print(f"tidbbackup adopt: {each.archive} is left out: {each.whole}", file=err)
    if not whole:
        print(f"tidbbackup adopt: {url} holds no whole archive with a manifest", file=err)
        return FAILED
    out.write(_HOW)
    yaml.dump_all(backups(whole, place, adoption), out, PlainYaml, sort_keys=False, allow_unicode=True)
    return OK


def backups(found: Iterable[Listed], place: Place, adoption: Adoption) -> Iterator[dict[str, Any]]:
    """The Backup of each whole archive, with its status."""
    taken = dict[str, int]()
    for each in found:
        bucket, _, key = each.archive.removeprefix("s3://").partition("/")
        folder, _, file = key.rpartition("/")
        # Of an archive that somebody has renamed too.
        stem = re.sub("[^a-z0-9]+", "-", file.split(".")[0].lower()).strip("-")
        # The same archive in two folders: the second one of a run gets a number.
        taken[stem] = taken.get(stem, 0) + 1
        name = stem if taken[stem] == 1 else f"{stem}-{taken[stem]}"
        s3 = S3Spec(
            provider=place.provider,
            region=place.region,
            bucket=bucket,
            prefix=folder,
            endpoint=place.endpoint,
            secretName=adoption.secret,
            caSecretName=adoption.ca_secret,
        )
        meta = {"name": name, "namespace": adoption.namespace, "annotations": {BEGUN_UID: each.uid}}
        yield {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": meta,
            "spec": spec_to_wire(BackupSpec(s3=s3, cleanPolicy=CleanPolicy.RETAIN.value)),
            "status": changes(BackupStatus(), _status(each)),
        }


def _status(each: Listed) -> BackupStatus:
    assert each.created is not None
    assert each.finished is not None
    started, finished = each.created.replace(microsecond=0), each.finished.replace(microsecond=0)
    status = BackupStatus(
        backupPath=each.archive,
        backupSize=each.size,
        backupSizeReadable=format_size(each.size or 0),
        commitTs=each.commitTs,
        timeStarted=started,
        timeCompleted=finished,
        timeTaken=format_duration(finished - started),
        databases=each.databases[:MAX_DATABASES],
        databaseCount=len(each.databases),
        checksum=f"sha256:{each.sha256}",
        # Without it the controller takes the Backup for one of TiDB Operator.
        observedGeneration=1,
    )
    text = f"{status.backupSizeReadable} from {len(each.databases)} databases, by the manifest in the bucket"
    return enter(status, Phase.COMPLETE, ARCHIVE_FOUND, text, finished)
