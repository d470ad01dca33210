"""The worker's last words: always small enough, and garbage is no result."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.model.contract.aftermath import Part, PartResult
from tidbbackup.model.contract.result import (
    MAX_BYTES,
    MAX_DATABASES,
    Notice,
    Outcome,
    WorkerResult,
    decode_result,
    encode_result,
)
from tidbbackup.model.reasons import RESULT_LOST, STORAGE_UNREACHABLE

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
# Short seeds made long: Hypothesis itself shuns texts of thousands of characters.
SEEDS = st.text(max_size=4) | st.sampled_from(["\x00", "\x1f", "\U0001f600", "ü", '"', "\\", "\udc80"])
TEXTS = st.builds(lambda seed, times: seed * times, SEEDS, st.integers(0, 5000))
REASONS = st.sampled_from([RESULT_LOST, STORAGE_UNREACHABLE, ""])
PARTS = st.builds(PartResult, st.sampled_from(Part), st.booleans(), REASONS, TEXTS)


@given(
    st.builds(
        WorkerResult,
        outcome=st.sampled_from(Outcome),
        step=TEXTS,
        reason=TEXTS,
        message=TEXTS,
        started=st.none() | st.just(NOW),
        finished=st.none() | st.just(NOW),
        path=TEXTS,
        size=st.integers(0, 2**63 - 1),
        checksum=TEXTS,
        commitTs=TEXTS,
        databases=st.lists(TEXTS, max_size=30).map(tuple),
        databaseCount=st.integers(0, 2**31),
        notices=st.lists(st.builds(Notice, TEXTS, TEXTS), max_size=6).map(tuple),
        parts=st.lists(PARTS, max_size=3, unique_by=lambda each: each.part).map(tuple),
    )
)
def test_it_never_outgrows_the_message_and_can_be_read(result: WorkerResult) -> None:
    data = encode_result(result)

    assert len(data) <= MAX_BYTES
    read = decode_result(data.decode())
    assert read is not None
    assert (read.outcome, read.size, read.databaseCount) == (
        result.outcome,
        result.size,
        result.databaseCount,
    )
    assert [(each.part, each.done) for each in read.parts] == [
        (each.part, each.done) for each in result.parts
    ]


def test_what_is_small_goes_through_whole() -> None:
    result = WorkerResult(
        Outcome.COMPLETE,
        message="ok ✓",
        started=NOW,
        finished=NOW,
        path="s3://bucket/" + "k" * 900,
        size=5,
        checksum="sha256:" + "0" * 64,
        databases=("a", "b"),
        databaseCount=2,
        notices=(Notice("NoEffect", "so what"),),
        parts=(PartResult(Part.INSPECT), PartResult(Part.RELEASE, False, "LoginFailed", "who?")),
    )
    assert decode_result(encode_result(result).decode()) == result


def test_twenty_databases_are_named_and_all_are_counted() -> None:
    names = tuple(f"db{number}" for number in range(50))
    read = decode_result(
        encode_result(WorkerResult(Outcome.COMPLETE, databases=names, databaseCount=50)).decode()
    )

    assert read is not None
    assert (read.databases, read.databaseCount) == (names[:MAX_DATABASES], 50)


def test_the_reason_outlives_a_message_that_is_too_long() -> None:
    result = WorkerResult(Outcome.FAILED, reason="DumpFailed", message="\x01" * 5000)
    read = decode_result(encode_result(result).decode())

    assert read is not None
    assert read.reason == "DumpFailed"
    assert read.message.startswith("\x01")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Killed",
        "{",
        "[]",
        "null",
        "{}",
        '{"outcome": "Fine"}',
        '{"outcome": "Complete", "size": "1"}',
        "\x00",
    ],
)
def test_garbage_is_no_result(text: str) -> None:
    assert decode_result(text) is None


@given(st.text(max_size=100))
def test_any_text_is_a_result_or_none(text: str) -> None:
    assert decode_result(text) is None


def test_a_time_without_zone_is_no_result() -> None:
    """Subtracted from one with a zone it would raise, again and again."""
    data = msgspec.json.encode({"outcome": "Complete", "started": "2026-11-23T03:00:00"}).decode()

    assert decode_result(data) is None


def test_a_part_is_found_by_its_name() -> None:
    release = PartResult(Part.RELEASE, False, "LoginFailed")
    result = WorkerResult(Outcome.FAILED, parts=(PartResult(Part.CLEAN), release))

    assert result.part(Part.RELEASE) is release
    assert result.part(Part.INSPECT) is None


def test_a_message_that_was_cut_is_no_result() -> None:
    whole = encode_result(WorkerResult(Outcome.COMPLETE, path="s3://b/k")).decode()

    assert decode_result(whole[:-1]) is None
