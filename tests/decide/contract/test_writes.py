"""Names and versions: what a create, a patch and an edit meet, and what they leave."""

from __future__ import annotations

import pytest

from tests.decide.builders import IMAGE, backup_job
from tests.decide.contract.subject import CONFLICT, DONE, REJECTED, TAKEN, Server, there
from tidbbackup.decide.plan import Ask, Create, PatchStatus, SetFinalizers
from tidbbackup.model.names import FINALIZER


async def test_a_name_that_our_own_job_has_is_as_good_as_made(server: Server) -> None:
    create = Create(backup_job(await server.create(), IMAGE))

    assert await server.apply(create) == DONE
    made = (await server.view()).jobs["backup-demo"].metadata.uid
    assert await server.apply(create) == DONE
    assert (await server.view()).jobs["backup-demo"].metadata.uid == made


async def test_a_name_that_another_job_has_is_taken(server: Server) -> None:
    found = await server.create()
    await server.make_job("backup-demo")

    assert await server.apply(Create(backup_job(found, IMAGE))) == TAKEN
    (left,) = (await server.view()).jobs.values()
    assert left.metadata.ownerReferences == ()


async def test_a_question_makes_nothing(server: Server) -> None:
    asked = Ask(backup_job(await server.create(), IMAGE))

    assert await server.apply(asked) == DONE
    assert (await server.view()).jobs == {}


async def test_what_is_not_as_it_was_seen_is_not_changed(server: Server) -> None:
    found = await server.create(FINALIZER)
    old = found.metadata.resourceVersion
    assert await server.apply(PatchStatus(found.key, old, {"phase": "Scheduled"})) == DONE

    assert await server.apply(PatchStatus(found.key, old, {"phase": "Running"})) == CONFLICT
    assert await server.apply(SetFinalizers(found.key, old, ())) == CONFLICT

    now = there(await server.view())
    assert (now.status.phase, now.metadata.finalizers) == ("Scheduled", (FINALIZER,))


async def test_a_status_is_merged(server: Server) -> None:
    """Objects field by field, lists whole, and null removes."""
    found = await server.create()
    first = {
        "phase": "Running",
        "backupPath": "s3://b/k",
        "databases": ["a", "b"],
        "progress": {"text": "dump 5 %", "dumpedBytes": 5},
    }
    assert await server.apply(PatchStatus(found.key, found.metadata.resourceVersion, first)) == DONE
    version = there(await server.view()).metadata.resourceVersion
    second = {"phase": None, "databases": ["c"], "progress": {"dumpedBytes": 7, "text": None}}
    assert await server.apply(PatchStatus(found.key, version, second)) == DONE

    status = there(await server.view()).status
    assert (status.phase, status.backupPath, status.databases) == ("", "s3://b/k", ("c",))
    assert status.progress is not None
    assert (status.progress.text, status.progress.dumpedBytes) == ("", 7)


async def test_a_write_makes_a_version_if_it_changes_something(server: Server) -> None:
    found = await server.create(FINALIZER)
    first = found.metadata.resourceVersion
    assert await server.apply(PatchStatus(found.key, first, {"phase": "Scheduled"})) == DONE
    second = there(await server.view()).metadata.resourceVersion
    assert second != first

    assert await server.apply(PatchStatus(found.key, second, {"phase": "Scheduled"})) == DONE
    assert await server.apply(SetFinalizers(found.key, second, (FINALIZER,))) == DONE
    assert there(await server.view()).metadata.resourceVersion == second


async def test_only_the_spec_makes_a_generation(server: Server) -> None:
    found = await server.create(FINALIZER)
    assert found.metadata.generation == 1
    version = found.metadata.resourceVersion
    assert await server.apply(SetFinalizers(found.key, version, (), annotations={"a": "b"})) == DONE
    version = there(await server.view()).metadata.resourceVersion
    assert await server.apply(PatchStatus(found.key, version, {"observedGeneration": 1})) == DONE
    now = there(await server.view())
    assert (now.metadata.generation, now.metadata.annotations["a"]) == (1, "b")

    assert await server.edit(serviceAccount="other") == DONE
    now = there(await server.view())
    assert (now.metadata.generation, now.status.observedGeneration) == (2, 1)
    assert await server.edit(serviceAccount="other") == DONE
    assert there(await server.view()).metadata.generation == 2


@pytest.mark.parametrize("begun", [False, True])
async def test_where_the_archive_goes_is_fixed_once_the_backup_has_begun(server: Server, begun: bool) -> None:
    found = await server.create()
    told = {"backupPath": "s3://b/k"} if begun else {"phase": "Invalid"}
    assert await server.apply(PatchStatus(found.key, found.metadata.resourceVersion, told)) == DONE

    assert await server.edit(tableFilter=("a.*",)) == (REJECTED if begun else DONE)
    assert await server.edit(cleanPolicy="Delete") == DONE


async def test_a_backup_that_is_gone_is_told_nothing(server: Server) -> None:
    found = await server.create()
    await server.delete_backup()

    assert await server.apply(PatchStatus(found.key, found.metadata.resourceVersion, {"phase": "x"})) == DONE
    assert await server.apply(SetFinalizers(found.key, found.metadata.resourceVersion, ())) == DONE
    assert (await server.view()).backup is None
