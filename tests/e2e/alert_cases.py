"""Courses of the metrics by which each shipped alert fires, and ones by which it does not. Data only.

Time begins at 0 with the first sample, and there is one each minute. `5x9` is ten samples of 5, `_x10` ten
that are missing: the notation of `promtool test rules`.
"""

from attrs import field, frozen

UP = 'up{job="tidbbackup-controller",instance="a"}'
UP_B = 'up{job="tidbbackup-controller",instance="b"}'
NIGHTLY = {"namespace": "shop", "schedule": "nightly"}
BY_HAND = {"namespace": "shop"}


@frozen
class Fires:
    """From the minute `since` on the expression holds; after the rule's `for` the alert fires, not before."""

    alert: str
    what: str
    series: dict[str, str]
    since: int
    labels: dict[str, str]
    summary: str
    description: str


@frozen
class Silent:
    """The alert does not fire, at no full ten minutes of these three hours."""

    alert: str
    what: str
    series: dict[str, str] = field(factory=dict)


def shop(metric: str, **labels: str) -> str:
    """A series of the schedule `nightly` in the namespace `shop`, as the replica `a` exports it."""
    every = {"namespace": "shop", "schedule": "nightly", "instance": "a"} | labels
    told = ",".join(f'{name}="{value}"' for name, value in every.items())
    return f"{metric}{{{told}}}"


DUE = shop("tidbbackup_schedule_success_due_timestamp_seconds")
OVERDUE = shop("tidbbackup_schedule_overdue_seconds")
SUCCESS = shop("tidbbackup_last_success_timestamp_seconds")
FAILURE = shop("tidbbackup_last_failure_timestamp_seconds")
SIZE = shop("tidbbackup_last_size_bytes")
COMPLETE = shop("tidbbackup_backups", phase="Complete")
PROVEN = shop("tidbbackup_last_proven_timestamp_seconds")
AGE = 'reflector_last_event_age_seconds{resource="pods",instance="a"}'
LEADS = 'leader_election_master_status{name="tidbbackup-controller",instance="a"}'
LEADS_B = 'leader_election_master_status{name="tidbbackup-controller",instance="b"}'

MANY_GONE = (
    "Was maxBackups or maxReservedTime lowered, or has a clock jumped? If this was not intended, scale the "
    "controller to 0 replicas at once: the runbook says how to go on."
)

FIRING = (
    Fires(
        "TidbBackupControllerDown",
        "the scrape fails",
        {UP: "1x9 0x170"},
        10,
        {},
        "No backup controller is running",
        "No controller was scraped for 5 minutes: no backup starts, is followed or is cleaned.",
    ),
    Fires(
        "TidbBackupControllerDown",
        "there is nothing to scrape",
        {},
        0,
        {},
        "No backup controller is running",
        "No controller was scraped for 5 minutes: no backup starts, is followed or is cleaned.",
    ),
    Fires(
        "TidbBackupNoLeader",
        "two replicas and neither leads",
        {LEADS: "1x9 0x170", LEADS_B: "0x180"},
        10,
        {"name": "tidbbackup-controller"},
        "No backup controller leads",
        "Controllers run and none holds the Lease tidbbackup-controller: no backup starts, is followed or is "
        "cleaned.",
    ),
    Fires(
        "TidbBackupControllerDeaf",
        "a watch is silent",
        {AGE: "0+60x180"},
        6,
        {"resource": "pods"},
        "The API server has sent nothing about pods for minutes",
        "For 11m 0s; it sends something each minute. What changes there is not seen.",
    ),
    Fires(
        "TidbBackupTooOld",
        "two intervals without a good backup",
        {DUE: "3600x180"},
        61,
        NIGHTLY,
        "The newest good backup of shop/nightly is too old",
        "For 11m 0s longer than two of its intervals; kubectl get bk,bks -n shop",
    ),
    Fires(
        "TidbBackupOverdue",
        "the API server refuses it",
        {OVERDUE: "0x9 60+60x170"},
        20,
        NIGHTLY,
        "A backup of shop/nightly is due and is not created",
        "For 13m 0s; kubectl describe bks -n shop shows the reason.",
    ),
    Fires(
        "TidbBackupFailed",
        "the newest failed",
        {SUCCESS: "100x180", FAILURE: "50x9 600x170"},
        10,
        NIGHTLY,
        "The newest backup in shop nightly has failed",
        "kubectl get bk -n shop shows the reason.",
    ),
    Fires(
        "TidbBackupFailed",
        "the first one failed",
        {shop("tidbbackup_last_failure_timestamp_seconds", schedule=""): "_x10 600x170"},
        10,
        BY_HAND,
        "The newest backup in shop  has failed",
        "kubectl get bk -n shop shows the reason.",
    ),
    Fires(
        "TidbBackupNotStarting",
        "one waits for its pod, another one is Invalid",
        {
            shop("tidbbackup_backups", phase="Scheduled"): "_x10 1x170",
            shop("tidbbackup_backups", phase="Invalid"): "_x10 1x170",
        },
        10,
        NIGHTLY,
        "A backup in shop does not start",
        "2 of shop nightly wait or are Invalid; their condition has the reason.",
    ),
    Fires(
        "TidbBackupCleanFailed",
        "the bucket refuses",
        {shop("tidbbackup_backups", phase="CleanFailed"): "_x10 1x170"},
        10,
        NIGHTLY,
        "A deleted backup in shop cannot be cleaned up",
        "The Backup and its data stay until the cause in its condition CleanFailed is removed.",
    ),
    Fires(
        "TidbBackupShrunk",
        "two thirds are gone",
        {SIZE: "3000000x1449 1048576x60"},
        1450,
        NIGHTLY,
        "The archive of shop/nightly is less than half of yesterday's",
        "It has 1MiB. Is something missing from the database, or from the filters?",
    ),
    Fires(
        "TidbBackupManyGone",
        "six of thirty",
        {COMPLETE: "30x9 24x170", UP: "1x180"},
        10,
        NIGHTLY,
        "Within an hour 6 complete backups of shop/nightly were deleted",
        MANY_GONE,
    ),
    Fires(
        "TidbBackupManyGone",
        "all",
        {COMPLETE: "30x9 stale", UP: "1x180"},
        10,
        NIGHTLY,
        "Within an hour 30 complete backups of shop/nightly were deleted",
        MANY_GONE,
    ),
    Fires(
        "TidbBackupNotProven",
        "eight days without a drill that passed",
        # Eight days before the minute 10.
        {PROVEN: "-690600x180"},
        11,
        NIGHTLY,
        "No restore drill of shop/nightly has passed for over a week",
        "The last one that passed was 8d 0h 11m 0s ago.",
    ),
)

SILENT = (
    Silent("TidbBackupControllerDown", "one of two replicas runs", {UP: "0x180", UP_B: "1x180"}),
    Silent(
        "TidbBackupNoLeader", "now one leads, now the other", {LEADS: "1x60 0x120", LEADS_B: "0x60 1x120"}
    ),
    Silent("TidbBackupNoLeader", "a controller that does not tell", {UP: "1x180"}),
    Silent("TidbBackupControllerDeaf", "an event each minute", {AGE: "55x180"}),
    Silent("TidbBackupTooOld", "each good backup moves the moment", {DUE: "3600x50 7200x60 14400x70"}),
    Silent("TidbBackupTooOld", "a paused schedule has no such moment", {SUCCESS: "0x180"}),
    Silent(
        "TidbBackupTooOld",
        "the other replica has seen the good backup",
        {
            DUE: "600x180",
            shop("tidbbackup_schedule_success_due_timestamp_seconds", instance="b"): "14400x180",
        },
    ),
    Silent("TidbBackupOverdue", "created within ten minutes", {OVERDUE: "0x9 60+60x9 0x160"}),
    Silent("TidbBackupFailed", "a later one is complete", {SUCCESS: "600x180", FAILURE: "100x180"}),
    Silent("TidbBackupNotStarting", "it runs", {shop("tidbbackup_backups", phase="Running"): "1x180"}),
    Silent("TidbBackupCleanFailed", "it was kept", {shop("tidbbackup_backups", phase="Failed"): "1x180"}),
    Silent("TidbBackupShrunk", "there was none yesterday", {SIZE: "1x180"}),
    Silent("TidbBackupManyGone", "one for each new one", {COMPLETE: "30x9 31 30x170", UP: "1x180"}),
    Silent("TidbBackupManyGone", "the controller is down", {COMPLETE: "30x9 stale", UP: "1x9 0x170"}),
    Silent("TidbBackupNotProven", "no drill is asked for", {SUCCESS: "0x180"}),
    Silent("TidbBackupNotProven", "one passed", {PROVEN: "600x180"}),
)
