"""Letting a Backup go, and what is said of its data then.

Where nothing can be run any more (its namespace goes, or the CRD itself as on an uninstallation) it is let go
with its data kept: holding on would block what goes for ever, and an uninstallation deletes no data. Must not
know when there is nothing left to do.
"""

from __future__ import annotations

from tidbbackup.decide.facts import BackupFacts
from tidbbackup.decide.plan import Action, Announce, Counted, Look, Plan, SetFinalizers, Tally
from tidbbackup.model import reasons
from tidbbackup.model.meta import Definition, Meta
from tidbbackup.model.names import BACKUP_CRD, FINALIZER, SCHEDULE_LABEL
from tidbbackup.model.resource.backup import KIND, Backup

CRD_KIND = "CustomResourceDefinition"
NAMESPACE_KIND = "Namespace"
CRD_LOOK = Look(CRD_KIND, "", name=BACKUP_CRD)


def if_the_crd_goes(facts: BackupFacts, backup: Backup, *, wanted_gone: bool) -> Plan | None:
    """The farewell where the CRD is being deleted, else None.

    One that cannot be seen (gone, or no right to look any more) is no reason: what can be done is done then.
    `wanted_gone`: the policy asks for the deletion of the data.
    """
    definitions = facts.look_up(CRD_LOOK, Definition)
    if not any(each.metadata.deletionTimestamp for each in definitions):
        return None
    text = f"{CRD_KIND} {BACKUP_CRD} is being deleted, so nothing is cleaned: {_kept(backup)}"
    say = Announce(KIND, backup.metadata, "Warning", reasons.CRD_TERMINATING, text)
    return Plan((say, let_go(backup, *_uncleaned(backup, reasons.CRD_TERMINATING, wanted_gone))))


def as_the_namespace_goes(backup: Backup, *, wanted_gone: bool) -> Plan:
    """The farewell where no Job can be made because the namespace is being deleted.

    It takes no Event either: what is said is said of the Namespace, where the right for that exists.
    """
    name = backup.metadata.namespace
    about = Meta(name=name, namespace="default")
    text = f"Backup {backup.metadata.name} goes with its namespace, so nothing is cleaned: {_kept(backup)}"
    say = Announce(NAMESPACE_KIND, about, "Warning", reasons.NAMESPACE_TERMINATING, text)
    return Plan((say, let_go(backup, *_uncleaned(backup, reasons.NAMESPACE_TERMINATING, wanted_gone))))


def say_kept(backup: Backup, archive_url: str) -> Action:
    """Nothing was to be cleaned: the policy keeps the archive, or there is none (an empty URL)."""
    kept = f"{archive_url} is kept" if archive_url else "there is nothing to clean"
    return Announce(KIND, backup.metadata, "Normal", reasons.DATA_KEPT, kept)


def let_go(backup: Backup, *tallies: Tally) -> Action:
    """Drop our finalizer."""
    meta = backup.metadata
    left = tuple(name for name in meta.finalizers if name != FINALIZER)
    return SetFinalizers(backup.key, meta.resourceVersion, left, tallies)


def _kept(backup: Backup) -> str:
    where = backup.status.backupPath
    if backup.status.checksum:
        return f"{where} is kept"
    return f"what its run may have left at {where} stays (an open upload, an archive)"


def _uncleaned(backup: Backup, reason: str, wanted_gone: bool) -> tuple[Tally, ...]:
    meta = backup.metadata
    kept = Tally(Counted.KEPT, meta.namespace, meta.labels.get(SCHEDULE_LABEL, ""), reason)
    return (kept,) if wanted_gone else ()
