"""The staging volume."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tidbbackup.model import reasons
from tidbbackup.worker.dumpers.mydumper.completeness import lacks_column_list
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.staging.volume import ends_spoilt, full, is_full, prepare, sizes


def test_it_is_made_anew(tmp_path: Path) -> None:
    folder = prepare(tmp_path)
    (folder / "left.sql").write_text("from a run that was killed")
    assert sizes(folder) == {"left.sql": 26}
    assert sizes(prepare(tmp_path)) == {}
    assert not is_full(folder)


def test_a_file_that_goes_while_it_is_looked_at_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packer deletes what it has read, also while mydumper's last files are taken in."""
    folder = prepare(tmp_path)
    for name in ("packed.sql", "left.sql"):
        (folder / name).write_text("rows")

    @contextmanager
    def scanned(path: Path) -> Iterator[list[os.DirEntry[str]]]:
        with real(path) as entries:
            found = list(entries)
        (path / "packed.sql").unlink()
        yield found

    real = os.scandir
    monkeypatch.setattr(os, "scandir", scanned)
    assert sizes(folder) == {"left.sql": 4}


def test_a_volume_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StepFailed, match=r"spec\.storageClassName") as caught:
        prepare(tmp_path / "file")
    assert caught.value.reason == reasons.STAGING_NOT_WRITABLE


def test_full_names_sizes_and_cure(tmp_path: Path) -> None:
    (prepare(tmp_path) / "a").write_bytes(bytes(3 << 20))
    failure = full(tmp_path, 10 << 20)
    assert str(failure).startswith(
        "the staging volume of 10 MiB is full after 3 MiB of dump; raise spec.storageSize"
    )


@pytest.mark.parametrize("rows", [1, 50, 5000])
def test_the_end_is_read_until_it_tells(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "d.t.sql"
    path.write_bytes(b"SET x;\nINSERT INTO `t` VALUES\n" + b",\n".join([b"(1234567)"] * rows) + b";\n")
    assert ends_spoilt(path, lacks_column_list, piece=64)
    path.write_bytes(b"SET x;\nINSERT INTO `t` (`a`) VALUES\n" + b",\n".join([b"(1)"] * rows) + b";\n")
    assert not ends_spoilt(path, lacks_column_list, piece=64)
