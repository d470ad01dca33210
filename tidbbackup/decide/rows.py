"""The rows of all decisions about a Backup, as tables: what is known, and what is planned then.

Of each table the first row that fits wins. The tables in docs/reference/invariants.md are written from these;
each row has a test of its id. Must not know how a row is found.
"""

from __future__ import annotations

from enum import Enum


class Row(Enum):
    """A row of a decision: its id, the facts, what is planned. The first row that fits wins.

    The tables in docs/reference/invariants.md are written from these (`python -m manifests.tables`).
    """

    def __init__(self, facts: str, plan: str) -> None:
        self.facts = facts
        self.plan = plan

    @property
    def id(self) -> str:
        """The row's name in logs, tests and docs: `living.reported`."""
        return f"{type(self).__name__}.{self.name}".lower().replace("_", "-")


class Living(Row):
    """What is decided about a Backup that is not being deleted."""

    GONE = "deleted, or being deleted", "nothing; `gc` handles what is being deleted"
    UNREADABLE = (
        "unreadable (created before the schema, or too large)",
        "an Event with the reason, nothing else",
    )
    FOREIGN = (
        "foreign: a phase but no `observedGeneration` (another operator's); an annotation `begun-uid` with "
        "another uid, or a `status.backupPath` that is not computed from its uid and creation time (a copy)",
        "Event ForeignBackup, nothing else",
    )
    NOT_REMEMBERED = "our finalizer, but no annotation `begun-uid`", "set it"
    STOPPED = (
        "its run is stopped because its pod did not start in time (`status.runEnded.stopped`)",
        "delete the Job, pods first; wait until both are gone, by a live read; a pod that began after all is "
        "noted (`uploadLeftOpen`, `gcLifeTimeHeld`); then Failed with the reason why it did not start",
    )
    NAME_FORMER = (
        "a Job of our name belongs to a former Backup of this name (by our API group, kind and name; see "
        "I13)",
        "if a live read shows that our Backup is still the one of this name: delete it (in the background, "
        "once a pod of it is out of reach: `decide/run/name_lock.py`), wait until it no longer exists; else "
        "the cache lags behind: wait, again in 10 s",
    )
    NAME_TAKEN = (
        "a Job of our name belongs to anything else, such as another operator's Backup (a Job without our "
        "labels is not in the cache; it is found by a live read after our create is refused)",
        "Failed/NameTaken",
    )
    REPORTED = (
        "our Job: the pod's status has the worker's result (read from the API server, if the Job has ended "
        "and its pod is not in the cache)",
        "Complete, or Failed with the worker's own reason and message; or another attempt, as below",
    )
    NEVER_BEGAN = (
        "our Job: its pod ended before a container started, its node could tell so, and no status has told "
        "that it works; or the spec has "
        "become invalid meanwhile, so that no Job can inspect the storage",
        "Failed with what the pod's status shows: Evicted, NodeLost, ...; or another attempt, as below",
    )
    SILENT = (
        "our Job: its pod ended and left no result, or is out of reach (its deletion grace period ended five "
        "minutes ago, and its status shows no end)",
        "write how it ended into `status.runEnded`: Running/Inspecting",
    )
    WORKING = "our Job: the worker runs", "Running; reconciled again when its pod may be out of reach"
    WAITING = (
        "our Job: the pod has not started, deadline not reached",
        "Scheduled; after 10 s with the reason, from the pod or from Events; reconciled again each minute",
    )
    OVERDUE = (
        "the same, deadline reached",
        "write that the run is stopped and why (`status.runEnded`), then delete the Job",
    )
    CACHE_LAGS = "our Job has no pod, although the phase is Running", "wait: the cache of pods lags behind"
    RETRY_GIVEN_UP = (
        "the newest record's attempt has not begun; `retryTimeout` after the first failure has passed, or "
        "the policy was removed",
        "delete its Jobs, also before its time has come; Failed with the former attempt's cause",
    )
    RETRY_WAITS = (
        "the same, its time has not come; or the former attempt's Jobs, or a pod of it that has not ended, "
        "are still there (live reads)",
        "wait; once its time has come, delete the Jobs, pods first",
    )
    JOB_MISSING = (
        "Scheduled or Running, no Job in the cache",
        "read it from the API server; if it does not exist: Failed/JobDeleted",
    )
    INVALID = (
        "the spec is wrong",
        "Invalid with every field, value and cure; once it is corrected, the rows below apply. After an "
        "attempt that ran: Failed, because Invalid unlocks the fields that the key is made of",
    )
    REFUSED = (
        "the API server refuses the Job",
        "400 or 422: Invalid, and (unless of a schedule) tried again in 10 minutes. Otherwise: shown in the "
        "condition Scheduled (False), with the time of the first refusal since the Backup was Invalid, and "
        "tried again until `pendingDeadlineSeconds` after that, then Failed. An answer that differs only in "
        "words with a digit (such as a request id) is not written again",
    )
    WAITS_ITS_TURN = (
        "`--max-running-per-server` or `--max-running-per-namespace` is reached by those that run, "
        "and by older ones that wait",
        "shown in the condition Scheduled (False), without a deadline; reconciled again when it has its turn",
    )
    NOT_PROTECTED = "no finalizer", "set it, and the annotation `begun-uid`"
    NOT_LOCKED = (
        "`status.backupPath` is not the archive's address",
        "write it: from then on the fields of the address cannot change",
    )
    BEGIN = "otherwise", "create the Job, then Scheduled"


class Inspecting(Row):
    """What is decided about a run that left no result, while the Backup is not being deleted."""

    WHOLE = (
        "the Job `aftermath-<bk>` found the manifest, with our uid and key and the archive's size",
        "Complete/ArchiveFound, with what the manifest tells",
    )
    NOT_WHOLE = (
        "it found no archive, or none that is whole",
        "Failed with what ended the run; or another attempt, as above",
    )
    UNTOLD = (
        "it has found nothing out within `pendingDeadlineSeconds` + 5 minutes since the end was seen",
        'Failed with what ended the run and why it "could not be told"; or another attempt, as above',
    )
    RELEASED = "it has put the GC life time back, but has not inspected yet", "write that"
    WAITS = "otherwise", "as in the table of the Job; Running/Inspecting tells what it waits for"


class Finished(Row):
    """What is decided about a Backup that is Complete or Failed."""

    DRILLED = (
        "the newest drill of it that has ended says something else than its condition Proven",
        "Event Proven or NotProven; write the condition; then the rows below",
    )
    EXPIRED = (
        "`ttlSecondsAfterFinished` has passed",
        "after a live read that agrees, delete the Backup; its cleanPolicy decides about the archive",
    )
    DOUBTED = (
        "the same, but the live read differs from the cache, or the clocks differ (I21)",
        "again in 10 seconds; Event ClocksDiffer, again in 10 minutes; and the rows below",
    )
    POD_STOPS = (
        "`status.gcLifeTimeHeld`, and a pod of the run has not ended and is not out of reach",
        "wait: its worker may restore the value itself",
    )
    RELEASED = (
        "`status.gcLifeTimeHeld`, and the Job `aftermath-<bk>` has put the value back",
        "remove the field and its warning",
    )
    RELEASE_GIVEN_UP = (
        "`status.gcLifeTimeHeld`, a day after the end",
        "Event and Warning ReleaseGivenUp with the SQL; remove the field",
    )
    RELEASING = (
        "`status.gcLifeTimeHeld`",
        "as in the table of the Job; Event ReleaseFailed tells why it is not done yet",
    )
    NOTHING = (
        "otherwise",
        "delete the Jobs, and with them the staging volume: 5 minutes after the end if Complete; a day after "
        "it if Failed, so that the pods' logs can be read, or 5 minutes if another container in a pod still "
        "runs; at once what still works for nobody",
    )


class Restoring(Row):
    """What is decided about a Restore."""

    GONE = "deleted, or being deleted", "nothing: its Job goes with it"
    LEFT_ALONE = (
        "unreadable; or foreign: a phase but no `observedGeneration`, an annotation `begun-uid` with another "
        "uid, or a `status.backupPath` without that annotation (a copy)",
        "an Event with the reason, nothing else",
    )
    EXPIRED = "Complete or Failed, `ttlSecondsAfterFinished` has passed", "delete the Restore"
    FINISHED = "Complete or Failed", "delete its Job a day after the end"
    STOPPED = (
        "its run is stopped because its pod did not start in time (`status.runEnded`)",
        "delete the Job, pods first; once it is gone, by a live read: Failed",
    )
    NAME_FORMER = (
        "a Job of our name belongs to a former Restore of this name",
        "if a live read shows that our Restore is still the one of this name: delete it, wait; else wait",
    )
    NAME_TAKEN = "a Job of our name belongs to anything else", "Failed/NameTaken"
    REPORTED = (
        "our Job: the pod's status has the worker's result",
        "Complete, or Failed with the worker's own reason and message",
    )
    SILENT = "our Job ended and left no result", "Failed with the reason, and how to go on"
    WORKING = "our Job: the worker runs", "Running"
    WAITING = "our Job: the pod has not started, deadline not reached", "Scheduled, with the reason"
    OVERDUE = "the same, deadline reached", "write that the run is stopped, then delete the Job"
    CACHE_LAGS = "our Job has no pod, although the phase is Running", "wait"
    JOB_MISSING = (
        "Scheduled or Running, no Job in the cache",
        "read it from the API server; if it does not exist: Failed/JobDeleted",
    )
    INVALID = (
        "the spec is wrong, or the Backup that it names is not there or not Complete",
        "Invalid with every field, value and cure; judged again when either changes",
    )
    REFUSED = (
        "the API server refuses the Job",
        "400 or 422: Invalid, again in 10 minutes; otherwise the condition Scheduled (False) tells it, again "
        "each minute for `pendingDeadlineSeconds`, then Failed",
    )
    NOT_REMEMBERED = "no annotation `begun-uid`", "set it: a copy of this object must not load again"
    NOT_LOCKED = (
        "`status.backupPath` is not the archive's address",
        "write it: from then on the schema refuses any change of what is restored, and where",
    )
    POD_ENDS = (
        "no Job, but a pod of a Job of this name that is gone has not ended and is not out of reach (a live "
        "read)",
        "wait; again in 10 s: two would load into one server",
    )
    BEGIN = "otherwise", "create the Job, then Scheduled"


class AftermathJob(Row):
    """What is decided about the Job `aftermath-<bk>`, which does what is left to do after a run."""

    NAME_TAKEN = "a Job that is not ours has its name", "NameTaken is the trouble; again each 30 s"
    DONE = (
        "our Job: a part that is wanted is done, by the worker's result; or by its exit code 0, if the "
        "result is lost and the part is no inspection",
        "as the caller's table says",
    )
    LEAVES = (
        "a former Backup's Job has the name; or ours is being deleted, or a pod of it is out of reach",
        "delete it (a former one's only after the same live read as above; in the background, once a pod is "
        "out of reach); wait until it no longer exists",
    )
    OUTDATED = (
        "it was told something else than what is wanted now, and has not ended; or it waits or has ended, "
        "and spec or image have changed since",
        "delete it: it is created again",
    )
    FAILED = (
        "it has ended, and nothing that is wanted is done",
        "its reason is the trouble; delete it after a pause as long as all tries so far (10 s to 10 min)",
    )
    STARTS = (
        "its pod has not started for up to 30 s, or nothing tells why for up to `pendingDeadlineSeconds`",
        "wait",
    )
    STUCK = (
        "its pod has not started for longer",
        "the reason, from the pod or from Events, is the trouble; deleted after the same pauses, because a "
        "pod does not notice every repair",
    )
    WORKS = "it works", "wait"
    INVALID = (
        "no Job; the spec is invalid now, or its archive's address is not `status.backupPath`",
        "InvalidSpec is the trouble; a dry run asks whether a Job can be created at all; again each 30 s",
    )
    REFUSED = "no Job; the API server refuses it", "its answer is the trouble; again each 30 s"
    CREATE = "no Job", "create it, for all that is wanted at once"


class Leaving(Row):
    """What is decided about a Backup that is being deleted."""

    NOT_OURS = "not being deleted, or not our finalizer", "nothing"
    FOREIGN = "foreign (as above), or unreadable", "remove the finalizer"
    STOPPED = (
        "its run is stopped (`status.runEnded.stopped`), and its Job or a pod of it is still there, by a "
        "live read",
        "delete the Job, pods first; wait; a pod that began after all is noted in the status",
    )
    STOP = (
        "our Job has not ended",
        "Event RunStopped; write that the run is stopped (`status.runEnded`), then delete the Job",
    )
    REPORTED = "our Job: the pod's status has the worker's result", "Complete or Failed, as if it lived"
    SILENT = "our Job ended and left no result", "write how it ended into `status.runEnded`"
    UNSEEN = (
        "no Job of ours in the cache, but a live read finds one, or a pod that has not ended",
        "wait for the cache; again in 10 s",
    )
    NO_RETRY = "no Job; another attempt was to come", "write that the run is stopped"
    JOB_MISSING = "no Job, although Scheduled or Running", "write JobDeleted into `status.runEnded`"
    POD_ENDS = "a pod of the run has not ended and is not out of reach", "wait"
    NOT_WANTED = (
        "nothing is left to do (see the next table), but the Job `aftermath-<bk>` has not ended",
        "delete it; wait until it no longer exists: it may still delete what is to be kept",
    )
    NOTHING_LEFT = (
        "nothing is left to do",
        "unless Complete, a live read makes sure that no run is left; remove the finalizer",
    )
    CRD_GOES = (
        "something is to be cleaned, but the CRD is being deleted (a live read), and no cleaning has "
        "completed",
        "stop a cleaning that works; remove the finalizer, the data stays",
    )
    READ = (
        "the archive is to be cleaned, and a Restore that has begun and has not ended reads it; no cleaning "
        "has been made",
        "Event ArchiveInUse; wait for its end",
    )
    NAMESPACE_GOES = (
        "no Job can be created because the namespace is terminating",
        "remove the finalizer, the data stays",
    )
    CLEANED = (
        "the Job `aftermath-<bk>` has cleaned",
        "phase Clean; an Event tells what was deleted, kept, or left in the bucket",
    )
    RELEASED = "it has put the GC life time back", "remove `status.gcLifeTimeHeld`"
    CLEANING = (
        "something is to be cleaned",
        "as in the table of the Job; CleanFailed tells the trouble; an Event NodeLost names a pod of the run "
        "that is out of reach",
    )
    RELEASE_GIVEN_UP = (
        "only the GC life time is left, and 45 seconds have passed since the deletion, or since the phase "
        "Clean; one try is made in any case",
        "Event ReleaseGivenUp with the SQL; remove `status.gcLifeTimeHeld`",
    )
    RELEASING = (
        "only the GC life time is left",
        "as in the table of the Job; Event ReleaseFailed tells why it is not done yet",
    )
