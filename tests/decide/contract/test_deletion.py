"""Deletions: whose, in which order, and what keeps an object."""

from __future__ import annotations

import attrs
import pytest

from tests.decide.builders import IMAGE, aftermath_job, backup_job
from tests.decide.contract.subject import DONE, REJECTED, TERMINATING, Server, pods_of, there
from tests.decide.world import FOREGROUND
from tidbbackup.decide.plan import Ask, Create, Delete, PatchStatus, SetFinalizers
from tidbbackup.model.contract.aftermath import Aftermath, Data, Part
from tidbbackup.model.meta import ObjectKey
from tidbbackup.model.names import FINALIZER
from tidbbackup.model.resource.backup import Backup
from tidbbackup.model.resource.kubernetes import Job

OTHER = "example.com/other"
ALL = Aftermath((Part.CLEAN,), Data.DELETE)
ENDS = ("Complete", "Failed")


async def made(server: Server, found: Backup) -> Job:
    """Its Job, with its pod."""
    assert await server.apply(Create(backup_job(found, IMAGE))) == DONE
    view = await server.until(lambda view: bool(view.pods))
    return view.jobs["backup-demo"]


def key_of(job: Job) -> ObjectKey:
    """The key of a Job."""
    return ObjectKey("Job", job.metadata.namespace, job.metadata.name)


async def test_another_object_of_that_name_stays(server: Server) -> None:
    found = await server.create(FINALIZER)
    job = await made(server, found)

    assert await server.apply(Delete(key_of(job), "another-uid")) == DONE
    assert await server.apply(Delete(found.key, "another-uid")) == DONE

    view = await server.at_rest()
    assert view.jobs["backup-demo"].metadata.deletionTimestamp is None
    assert there(view).metadata.deletionTimestamp is None


async def test_what_is_not_there_is_deleted_already(server: Server) -> None:
    found = await server.create()
    assert await server.apply(Delete(ObjectKey("Job", found.metadata.namespace, "backup-demo"), "u")) == DONE


async def test_a_job_goes_after_its_pods(server: Server) -> None:
    job = await made(server, await server.create(FINALIZER))
    (pod,) = pods_of(await server.view(), job)
    await server.hold(pod)

    assert await server.apply(Delete(key_of(job), job.metadata.uid)) == DONE
    view = await server.until(lambda view: bool(pods_of(view, job)[0].metadata.deletionTimestamp))
    since = view.jobs["backup-demo"].metadata.deletionTimestamp
    assert since is not None
    await server.at_rest()
    assert await server.apply(Delete(key_of(job), job.metadata.uid)) == DONE
    view = await server.view()
    assert view.jobs["backup-demo"].metadata.deletionTimestamp == since, "since when does not change"

    assert await server.apply(Delete(key_of(job), job.metadata.uid, abandon=True)) == DONE
    view = await server.view()
    assert (view.jobs, len(view.pods)) == ({}, 1), "one that is abandoned goes at once"


async def test_a_job_whose_pods_go_is_gone(server: Server) -> None:
    job = await made(server, await server.create(FINALIZER))
    assert await server.apply(Delete(key_of(job), job.metadata.uid)) == DONE
    await server.until(lambda view: (view.jobs, view.pods) == ({}, {}))


@pytest.mark.parametrize(("phase", "condition"), [("Succeeded", "Complete"), ("Failed", "Failed")])
async def test_a_job_ends_with_its_pod(server: Server, phase: str, condition: str) -> None:
    job = await made(server, await server.create(FINALIZER))
    (pod,) = pods_of(await server.view(), job)

    await server.end(pod, phase)
    view = await server.until(lambda view: view.jobs["backup-demo"].ended)

    (found,) = (each.type for each in view.jobs["backup-demo"].status.conditions if each.type in ENDS)
    assert found == condition
    assert len(view.pods) == 1, "there is one try"


async def test_a_job_whose_pod_is_deleted_has_failed_and_makes_no_other(server: Server) -> None:
    job = await made(server, await server.create(FINALIZER))
    (pod,) = pods_of(await server.view(), job)

    await server.delete_pod(pod)
    await server.until(lambda view: view.jobs["backup-demo"].ended and not view.pods)

    view = await server.at_rest()
    assert [each.type for each in view.jobs["backup-demo"].status.conditions if each.type in ENDS] == [
        "Failed"
    ]
    assert view.pods == {}


async def test_a_backup_without_finalizers_is_gone_at_once_and_its_jobs_follow(server: Server) -> None:
    found = await server.create()
    await made(server, found)

    assert await server.apply(Delete(found.key, found.metadata.uid)) == DONE

    assert (await server.view()).backup is None
    await server.until(lambda view: (view.jobs, view.pods) == ({}, {}))


async def test_a_job_for_a_backup_that_is_gone_goes(server: Server) -> None:
    """A cache that lags has it made for a Backup that was created again meanwhile."""
    found = await server.create(FINALIZER)
    earlier = attrs.evolve(found, metadata=attrs.evolve(found.metadata, uid="00000000-0000-0000"))

    assert await server.apply(Create(backup_job(earlier, IMAGE))) == DONE

    await server.until(lambda view: view.jobs == {})
    assert there(await server.view()).metadata.uid == found.metadata.uid


async def test_finalizers_keep_a_backup_until_the_last_is_gone(server: Server) -> None:
    found = await server.create(FINALIZER, OTHER)
    await server.delete_backup()
    going = there(await server.view())
    since = going.metadata.deletionTimestamp
    assert since is not None
    assert going.metadata.generation == found.metadata.generation + 1, "a deletion is a new generation"

    await server.at_rest()
    await server.delete_backup()
    assert there(await server.view()) == going, "deleted twice is deleted once"

    version = going.metadata.resourceVersion
    more = SetFinalizers(found.key, version, (FINALIZER, OTHER, "example.com/new"))
    assert await server.apply(more) == REJECTED
    assert await server.apply(PatchStatus(found.key, version, {"phase": "Clean"})) == DONE
    version = there(await server.view()).metadata.resourceVersion
    assert await server.apply(SetFinalizers(found.key, version, (OTHER,))) == DONE
    kept = there(await server.view())
    assert (kept.metadata.finalizers, kept.status.phase) == ((OTHER,), "Clean")

    assert await server.apply(SetFinalizers(found.key, kept.metadata.resourceVersion, ())) == DONE
    assert (await server.view()).backup is None


async def test_a_deletion_in_the_foreground_waits_for_the_jobs_that_block_it(server: Server) -> None:
    """It deletes the run's Job; that of the aftermath, made afterwards, does not block, and stays."""
    found = await server.create(FINALIZER, cleanPolicy="Delete")
    await made(server, found)
    await server.delete_backup(foreground=True)
    going = there(await server.view())
    assert set(going.metadata.finalizers) == {FINALIZER, FOREGROUND}

    assert await server.apply(Create(aftermath_job(going, IMAGE, ALL))) == DONE
    await server.until(lambda view: "backup-demo" not in view.jobs)
    view = await server.until(lambda view: there(view).metadata.finalizers == (FINALIZER,))
    assert view.jobs["aftermath-demo"].metadata.deletionTimestamp is None

    version = there(view).metadata.resourceVersion
    assert await server.apply(SetFinalizers(found.key, version, ())) == DONE
    assert (await server.view()).backup is None
    await server.until(lambda view: view.jobs == {})


async def test_in_a_namespace_that_goes_nothing_is_made_and_everything_is_deleted(server: Server) -> None:
    found = await server.create(FINALIZER)
    await made(server, found)
    await server.delete_namespace()
    view = await server.until(lambda view: there(view).metadata.deletionTimestamp is not None)

    assert await server.apply(Create(aftermath_job(there(view), IMAGE, ALL))) == TERMINATING
    assert await server.apply(Create(backup_job(found, IMAGE))) == TERMINATING
    assert await server.apply(Ask(aftermath_job(there(view), IMAGE, ALL))) == TERMINATING
    view = await server.until(lambda view: (view.jobs, view.pods) == ({}, {}))
    version = there(view).metadata.resourceVersion
    assert await server.apply(PatchStatus(found.key, version, {"phase": "Clean"})) == DONE
    version = there(await server.view()).metadata.resourceVersion
    assert await server.apply(SetFinalizers(found.key, version, ())) == DONE
    await server.until(lambda view: view.backup is None)
