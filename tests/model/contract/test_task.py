"""The task: read back as it was written, and nothing in it that Kubernetes would expand."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.model.contract.aftermath import Aftermath, Data, Part
from tidbbackup.model.contract.task import DatabaseTarget, DumpSettings, WorkerTask, decode_task, encode_task
from tidbbackup.model.providers import ObjectTarget

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["$(DB_PASSWORD)", "$$", "\\$", "\\u0024", '"$(A)"', "a\\\\$(B)"]
)


@st.composite
def tasks(draw: st.DrawFn) -> WorkerTask:
    """Any task at all."""
    target = ObjectTarget(
        provider="aws",
        bucket=draw(TEXTS),
        key=draw(TEXTS),
        endpoint=draw(TEXTS),
        tags=draw(st.dictionaries(TEXTS, TEXTS, max_size=3)),
    )
    database = draw(st.none() | st.builds(DatabaseTarget, host=TEXTS, user=TEXTS))
    dump = DumpSettings(tuple(draw(st.lists(TEXTS, max_size=3))), draw(TEXTS))
    left = draw(st.builds(Aftermath, st.lists(st.sampled_from(Part)).map(tuple), st.sampled_from(Data)))
    size = draw(st.integers(0, 2**63 - 1))
    return WorkerTask(draw(TEXTS), "ns", "uid", target, database, dump, size, aftermath=left)


@given(tasks())
def test_what_is_told_is_understood(task: WorkerTask) -> None:
    text = encode_task(task)

    assert "$" not in text
    assert decode_task(text) == task


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"backup": 1}', "\x00"])
def test_no_task(text: str) -> None:
    with pytest.raises(ValueError, match="TIDBBACKUP_TASK is not a task"):
        decode_task(text)


def test_another_format_names_the_cure() -> None:
    task = WorkerTask("b", "ns", "uid", ObjectTarget("aws", "bucket", "key"), formatVersion=2)
    with pytest.raises(ValueError, match="use the same image for controller and worker"):
        decode_task(msgspec.json.encode(task).decode())


def test_the_archives_neighbours() -> None:
    target = ObjectTarget("aws", "bucket", "a/backup-1.tgz")

    assert target.url == "s3://bucket/a/backup-1.tgz"
    assert target.manifest_key == "a/backup-1.manifest.json"
    assert target.top == "backup-1"
    zstd = ObjectTarget("aws", "bucket", "a/backup-1.tar.zst")
    assert (zstd.manifest_key, zstd.top) == ("a/backup-1.manifest.json", "backup-1")
