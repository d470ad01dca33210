"""From the caches to facts, and from a change to the keys it concerns."""

from typing import Any

import attrs
import pytest

from tests.decide.builders import IMAGE, backup
from tests.reconcile.scene import caches, job_of, malformed, pod_of
from tidbbackup.kube.store import Change
from tidbbackup.model.meta import ObjectKey
from tidbbackup.reconcile.observe import observe_backup, wakes_backup, wakes_owner

LONG = "long." * 50 + "x"


@pytest.mark.parametrize("name", ["demo", LONG])
def test_all_that_concerns_a_backup(name: str) -> None:
    found = backup(name=name)
    jobs = (job_of(name), job_of(name, "clean"), job_of("other"))
    pods = (pod_of(name), pod_of(name, "clean", "q"), pod_of("other", "backup", "r"))
    facts = observe_backup(caches((found, backup(name="other")), jobs, pods), found.key, IMAGE)

    assert facts.backup == found
    assert (facts.job, facts.pods) == (jobs[0], pods[:1])
    assert (facts.clean_job, facts.clean_pods) == (jobs[1], pods[1:2])
    assert (facts.unreadable, facts.refusal, facts.evidence) == ("", None, {})


def test_one_that_is_gone() -> None:
    facts = observe_backup(caches(), backup().key, IMAGE)

    assert (facts.backup, facts.job, facts.pods) == (None, None, ())


def test_one_that_cannot_be_read_is_told_apart() -> None:
    facts = observe_backup(caches((malformed(backup()),)), backup().key, IMAGE)

    assert facts.unreadable == "Expected `int`"
    assert facts.backup is not None
    assert facts.backup.metadata == backup().metadata


def test_jobs_and_pods_that_cannot_be_read_are_left_out() -> None:
    held = caches((backup(),), (malformed(job_of("demo")),), (malformed(pod_of("demo")),))

    assert observe_backup(held, backup().key, IMAGE) == observe_backup(
        caches((backup(),)), backup().key, IMAGE
    )


def test_a_backup_wakes_itself() -> None:
    assert list(wakes_backup(Change(backup().key, None, backup()))) == [backup().key]


@pytest.mark.parametrize("name", ["demo", LONG])
def test_a_job_or_pod_wakes_the_backup_whose_name_it_bears_also_when_it_goes(name: str) -> None:
    held = caches((backup(name=name), backup(name="other")))
    views: list[Any] = [job_of(name), pod_of(name), malformed(pod_of(name))]
    for found in views:
        key = ObjectKey("Any", "ns", found.metadata.name)
        for old, new in ((None, found), (found, None)):
            assert list(wakes_owner(held, Change(key, old, new))) == [backup(name=name).key]


def test_what_bears_no_name_or_an_unknown_one_wakes_nobody() -> None:
    nameless = attrs.evolve(pod_of("demo"), metadata=attrs.evolve(pod_of("demo").metadata, labels={}))
    held = caches((backup(),))

    for found in (nameless, pod_of("stranger")):
        assert list(wakes_owner(held, Change(ObjectKey("Pod", "ns", "p"), None, found))) == []
    elsewhere = Change(ObjectKey("Pod", "elsewhere", "p"), None, pod_of("demo"))
    assert list(wakes_owner(held, elsewhere)) == []
