"""Files of volumes, and the termination message."""

from pathlib import Path

import pytest

from .environment import Source
from .files import File, MountError, source_files, write_files
from .termination import last_lines, termination_message

SECRET, MAP = Source("secret", "s"), Source("configMap", "m")


def test_all_keys() -> None:
    """Without items every key is a file."""
    assert source_files(SECRET, {"a": b"1", "b": b"2"}, {}, 0o440) == {
        "a": File(b"1", 0o440),
        "b": File(b"2", 0o440),
    }


def test_items() -> None:
    """Only what is listed, under the path and mode asked for."""
    items = {"items": [{"key": "a", "path": "x/y"}, {"key": "b", "path": "b", "mode": 0o400}]}
    assert source_files(SECRET, {"a": b"1", "b": b"2", "c": b"3"}, items, 0o644) == {
        "x/y": File(b"1", 0o644),
        "b": File(b"2", 0o400),
    }


@pytest.mark.parametrize(
    ("source", "data", "message"),
    [
        (SECRET, None, 'secret "s" not found'),
        (MAP, None, 'configmap "m" not found'),
        (SECRET, {}, "references non-existent secret key: a"),
        (MAP, {}, "configmap references non-existent config key: a"),
    ],
)
def test_missing(source: Source, data: dict[str, bytes] | None, message: str) -> None:
    """The kubelet's words; with `optional` it is no error."""
    items = {"items": [{"key": "a", "path": "a"}]}
    with pytest.raises(MountError) as caught:
        source_files(source, data, items, 0o644)
    assert str(caught.value) == message
    assert source_files(source, data, {**items, "optional": True}, 0o644) == {}


def test_write_files(tmp_path: Path) -> None:
    """Content and mode are exact, also for a file that is written again."""
    for content in (b"a longer text", b"1"):
        write_files(tmp_path / "v", {"in/a": File(content, 0o400)})
    written = tmp_path / "v" / "in" / "a"
    assert written.read_bytes() == b"1"
    assert written.stat().st_mode & 0o777 == 0o400


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    """The termination log (empty) and the output of a container."""
    message, log = tmp_path / "termination-log", tmp_path / "main.log"
    message.touch()
    log.write_bytes(b"".join(b"%d\n" % number for number in range(200)))
    return message, log


def test_message_wins_over_output(paths: tuple[Path, Path]) -> None:
    """A container that wrote a message is never quoted from its output."""
    paths[0].write_bytes(b"why\xff")
    assert termination_message(*paths, policy="FallbackToLogsOnError", exit_code=1) == "why\ufffd"


def test_long_message_keeps_its_end(paths: tuple[Path, Path]) -> None:
    """The last 4,096 bytes."""
    paths[0].write_bytes(b"a" * 10 + b"b" * 4096)
    assert termination_message(*paths, policy="File", exit_code=0) == "b" * 4096


@pytest.mark.parametrize(("policy", "exit_code"), [("File", 1), ("FallbackToLogsOnError", 0)])
def test_no_message(paths: tuple[Path, Path], policy: str, exit_code: int) -> None:
    """Output is no message, unless a failure may fall back to it."""
    assert termination_message(*paths, policy=policy, exit_code=exit_code) == ""


def test_fallback_takes_the_last_lines(paths: tuple[Path, Path]) -> None:
    """80 lines at the most."""
    message = termination_message(*paths, policy="FallbackToLogsOnError", exit_code=1)
    assert message.splitlines() == [str(number) for number in range(120, 200)]


def test_removed_message_file(paths: tuple[Path, Path]) -> None:
    """A container may remove the file, or put a folder there."""
    paths[0].unlink()
    assert termination_message(*paths, policy="File", exit_code=0) == ""
    paths[0].mkdir()
    assert termination_message(*paths, policy="File", exit_code=0) == ""


def test_last_lines_without_end() -> None:
    """A last line without its end counts."""
    assert last_lines(b"a\nb\nc", 2) == b"b\nc"
