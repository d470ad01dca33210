"""Backups that go where nothing can be run any more: let go, their data kept, told and counted."""

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.moments import ended
from tidbbackup.decide.aftermath.finalizer import CRD_LOOK
from tidbbackup.decide.facts import BackupFacts, Refusal
from tidbbackup.decide.gc import decide
from tidbbackup.decide.plan import Announce, Ask, Counted, Tally
from tidbbackup.model.meta import Definition, Meta
from tidbbackup.model.resource.backup import Backup, BackupSpec, BackupStatus
from tidbbackup.model.resource.kubernetes import Job, Pod

WHOLE = status("Complete", backupPath=URL, checksum="sha256:00")
HALF = ended("RunStopped", stopped=True)
GOES = (Definition(Meta(name="backups.pingcap.com", deletionTimestamp=NOW)),)
STAYS = (Definition(Meta(name="backups.pingcap.com")),)
FAREWELL = ["Warning CRDTerminating", "finalizers "]


def uninstalled(found: Backup, **parts: object) -> BackupFacts:
    """Facts where the CRD is being deleted and no run is left."""
    return attrs.evolve(without_run(found, **parts), evidence=NO_RUN | {CRD_LOOK: GOES})


def test_the_crd_is_looked_at_before_anything_is_cleaned() -> None:
    found = facts(going("Delete", WHOLE), evidence={JOB_LOOK: (), PODS_LOOK: ()})

    assert look_of(decide, found, NOW) == CRD_LOOK
    for seen in (STAYS, ()):
        answered = attrs.evolve(found, evidence=NO_RUN | {CRD_LOOK: seen})
        assert outline(decide(answered, NOW)) == ["create aftermath-demo"]


@pytest.mark.parametrize(
    ("told", "words"),
    [(WHOLE, f"{URL} is kept"), (HALF, f"what its run may have left at {URL} stays")],
)
def test_where_it_goes_the_data_stays(told: BackupStatus, words: str) -> None:
    plan = decide(uninstalled(going("Delete", told)), NOW)

    assert outline(plan) == FAREWELL
    assert tallies(plan) == [Tally(Counted.KEPT, "ns", "", "CRDTerminating")]
    (said,) = (action for action in plan.actions if isinstance(action, Announce))
    assert words in said.message


@pytest.mark.parametrize(
    ("policy", "told", "wanted_gone"),
    [("Delete", WHOLE, True), ("Delete", HALF, True), ("OnFailure", HALF, True), ("Retain", HALF, False)],
)
def test_only_what_the_policy_wanted_gone_is_counted(
    policy: str, told: BackupStatus, wanted_gone: bool
) -> None:
    """An open upload alone is told of, but it is no data."""
    refusal = Refusal(403, "no", namespace_terminating=True)
    for found in (uninstalled(going(policy, told)), without_run(going(policy, told), refusal=refusal)):
        plan = decide(found, NOW)
        assert outline(plan)[-1] == "finalizers "
        assert [tally.what for tally in tallies(plan)] == [Counted.KEPT] * wanted_gone


def test_one_that_cannot_be_cleaned_goes_too() -> None:
    failed = status("Complete", "CleanFailed", backupPath=URL, checksum="sha256:00")
    plan = decide(uninstalled(going("Delete", failed), aftermath_job=aftermath(FAILED)), NOW)
    assert outline(plan) == ["delete aftermath-demo aftermath-uid"]
    assert outline(decide(uninstalled(going("Delete", failed)), NOW)) == FAREWELL


@pytest.mark.parametrize(
    ("found", "pods", "expected"),
    [
        (aftermath(), (), ["delete aftermath-demo aftermath-uid"]),
        (aftermath(deletionTimestamp=NOW), (), []),
        (
            aftermath(COMPLETE),
            (reported(CLEANED),),
            ["Normal ArchiveDeleted", "Normal Clean", "status Clean"],
        ),
        (aftermath(owner=""), (), FAREWELL),
    ],
)
def test_a_cleaning_that_is_on_is_stopped_first_and_one_that_is_done_counts(
    found: Job, pods: tuple[Pod, ...], expected: list[str]
) -> None:
    known = uninstalled(going("Delete", WHOLE), aftermath_job=found, aftermath_pods=pods)
    assert outline(decide(known, NOW)) == expected


def test_no_farewell_while_its_run_goes_on() -> None:
    found = facts(going("Delete", HALF), job=job(), pods=(pod("Running", running()),))
    assert "delete backup-demo job-uid" in outline(decide(found, NOW))

    unseen = attrs.evolve(uninstalled(going("Delete", HALF)), evidence={CRD_LOOK: GOES})
    assert look_of(decide, unseen, NOW) == JOB_LOOK
    late = {CRD_LOOK: GOES, JOB_LOOK: (), PODS_LOOK: (pod("Running", running()),)}
    assert decide(attrs.evolve(unseen, evidence=late), NOW).actions == ()


def test_what_has_nothing_to_clean_asks_nothing_of_the_crd() -> None:
    plan = decide(facts(going("Retain", WHOLE)), NOW)

    assert outline(plan) == ["Normal DataKept", "finalizers "]
    assert tallies(plan) == []


def test_with_a_wrong_spec_too_it_is_asked_whether_the_namespace_goes() -> None:
    """No Job can be made of such a spec, so no refusal of one would ever tell."""
    wrong = attrs.evolve(going("Delete", WHOLE), spec=backup({"cleanPolicy": "Delete"}, s3={"sse": "x"}).spec)
    plan = decide(without_run(wrong), NOW)
    assert outline(plan) == ["ask aftermath-demo", "Warning CleanFailed", "status CleanFailed"]
    assert plan.wake_at == later(30)

    refusal = Refusal(403, "no", namespace_terminating=True)
    assert outline(decide(without_run(wrong, refusal=refusal), NOW)) == [
        "Warning NamespaceTerminating",
        "finalizers ",
    ]
    stays = decide(without_run(wrong, refusal=Refusal(403, "a webhook says no")), NOW)
    assert (cause_of(stays)[0], stays.wake_at) == ("InvalidSpec", later(30))


def test_what_it_asks_with_is_a_job_that_names_no_secret_and_needs_no_spec() -> None:
    wrong = attrs.evolve(going("Delete", WHOLE), spec=BackupSpec(cleanPolicy="Delete"))
    (ask,) = (action for action in decide(without_run(wrong), NOW).actions if isinstance(action, Ask))

    assert ask.manifest["metadata"]["namespace"] == "ns"
    (container,) = ask.manifest["spec"]["template"]["spec"]["containers"]
    assert set(container) == {"name", "image"}


def test_in_a_namespace_that_goes_it_is_said_of_the_namespace() -> None:
    refusal = Refusal(403, "no", namespace_terminating=True)
    plan = decide(without_run(going("Delete", WHOLE), refusal=refusal), NOW)

    assert outline(plan) == ["Warning NamespaceTerminating", "finalizers "]
    assert tallies(plan) == [Tally(Counted.KEPT, "ns", "", "NamespaceTerminating")]
    (said,) = (action for action in plan.actions if isinstance(action, Announce))
    assert (said.kind, said.about.name, said.about.namespace) == ("Namespace", "ns", "default")
    assert f"{URL} is kept" in said.message
