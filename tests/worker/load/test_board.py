"""Statements between reader and connections."""

import threading

import pytest

from tidbbackup.worker.load.board import Board, Source, Stopped
from tidbbackup.worker.load.files import dump_file


def source(name: str) -> Source:
    return Source(dump_file(f"d.{name}.sql"), "d", name, utf8=False, zone="+00:00")


A, B, C = source("a"), source("b"), source("c")


def test_a_connection_stays_with_its_file() -> None:
    board = Board(100)
    for each, statement in ((A, b"a1"), (B, b"b1"), (A, b"a2"), (B, b"b2")):
        board.put(each, statement)
    assert board.take(None) == (A, b"a1")
    assert board.take(None) == (B, b"b1")
    assert board.take(A) == (A, b"a2")
    assert board.take(B) == (B, b"b2")


def test_at_the_end_all_help() -> None:
    board = Board(100)
    for statement in (b"a1", b"a2", b"a3"):
        board.put(A, statement)
    assert board.take(None) == (A, b"a1")
    board.end()
    assert board.take(None) == (A, b"a2")
    assert board.take(A) == (A, b"a3")
    assert board.take(A) is None
    assert board.take(None) is None


def test_the_bytes_are_bounded_and_a_full_board_is_worked_on_by_all() -> None:
    board = Board(4)
    board.put(A, b"a1")
    assert board.take(None) == (A, b"a1")
    board.put(A, b"a2")
    waiting = threading.Thread(target=board.put, args=(C, b"c1"), daemon=True)
    waiting.start()
    # Returns only once the board is full.
    assert board.take(B) == (A, b"a2")
    assert waiting.is_alive()
    board.done(2)
    waiting.join(10)
    assert board.take(None) == (C, b"c1")


def test_one_statement_may_be_larger_than_the_bound() -> None:
    board = Board(4)
    board.put(A, b"x" * 100)
    assert board.take(None) == (A, b"x" * 100)


def test_a_failure_ends_everybody_and_the_first_counts() -> None:
    board, first = Board(4), ValueError("first")
    board.put(A, b"x" * 100)
    ended = []

    def put() -> None:
        with pytest.raises(Stopped):
            board.put(A, b"y")
        ended.append(True)

    waiting = threading.Thread(target=put, daemon=True)
    waiting.start()
    board.stop(first)
    board.stop(ValueError("second"))
    waiting.join(10)
    assert ended == [True]
    with pytest.raises(Stopped):
        board.take(None)
    assert board.error is first
