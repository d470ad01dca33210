"""What becomes of a worker's report: which run may be asked, and what of its answer is written where.

`status.progress` tells how far a run is. So a Backup or Restore that has not begun or is Complete has none;
one that Failed keeps the last, which tells how far it got. Must not know how a worker is asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import msgspec

from tidbbackup.decide.run.ownership import owned_by, pods_made_by
from tidbbackup.decide.status import Subject
from tidbbackup.model.contract.progress import Report
from tidbbackup.model.resource.backup import Backup, Phase, Progress
from tidbbackup.model.resource.kubernetes import Job, Pod
from tidbbackup.model.resource.restore import RestoreProgress

_NOTHING_RUNS = ("", Phase.SCHEDULED, Phase.INVALID, Phase.COMPLETE)


def worker_address(subject: Subject, jobs: Iterable[Job], pods: Iterable[Pod]) -> str:
    """The address of the pod that runs this very Backup or Restore now; empty where none does."""
    if subject.foreign or subject.status.phase != Phase.RUNNING:
        return ""
    addresses = (
        pod.status.podIP
        for job in jobs
        if owned_by(job, subject)
        for pod in pods_made_by(job, pods)
        if pod.state.running and not pod.ended
    )
    return next((address for address in addresses if address), "")


def report_patch(subject: Subject, report: Report) -> dict[str, Any] | None:
    """The merge patch that makes `status.progress` say this; None where it does already."""
    kind = Progress if isinstance(subject, Backup) else RestoreProgress
    wanted = kind(**{each.name: getattr(report, each.name) for each in attrs.fields(kind)})
    if wanted == subject.status.progress:
        return None
    return _patch(msgspec.to_builtins(wanted))


def stale_patch(subject: Subject) -> dict[str, Any] | None:
    """The merge patch that takes a progress away where nothing runs; None where there is nothing to do.

    It is of a run that is Complete by now, of an attempt before this one, or of a former object of this
    name: a report that was on its way may come late.
    """
    stale = subject.status.phase in _NOTHING_RUNS and not subject.foreign
    return _patch(None) if stale and subject.status.progress else None


def _patch(progress: Any) -> dict[str, Any]:
    # No resourceVersion: no other writer has this field. (A uid would not help, the API server looks at none
    # in a patch of a status.)
    return {"status": {"progress": progress}}
