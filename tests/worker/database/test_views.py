"""Files of definitions that are ours. That views equal mydumper's own is shown in tests/integration."""

from pathlib import Path

import pytest

from tidbbackup.model import reasons
from tidbbackup.worker.database.views import View, table_files, view_files, write_files
from tidbbackup.worker.failure import StepFailed

VIEW = View("d", "v", ("a", "b`c"), "CREATE VIEW `v` AS SELECT 1 AS `a`", "utf8mb4", "utf8mb4_bin")


def test_files(tmp_path: Path) -> None:
    write_files(view_files([VIEW]) | table_files({"d.t": "CREATE TABLE `t` (\n`a` int)"}), tmp_path)
    assert (tmp_path / "d.t-schema.sql").read_text() == (
        "/*!40101 SET NAMES binary*/;\nCREATE TABLE `t` (\n`a` int);\n"
    )
    assert (tmp_path / "d.v-schema.sql").read_text() == (
        "/*!40101 SET NAMES binary*/;\nCREATE TABLE `v`(\n`a` int,\n`b``c` int\n)ENGINE=MyISAM;\n"
    )
    text = (tmp_path / "d.v-schema-view.sql").read_text()
    assert "\nCREATE VIEW `v` AS SELECT 1 AS `a`;\n" in text
    assert "SET collation_connection = utf8mb4_bin;\n" in text
    assert text.endswith("SET collation_connection = @PREV_COLLATION_CONNECTION;\n")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StepFailed) as caught:
        write_files(view_files([VIEW]), tmp_path / "missing")
    assert caught.value.reason == reasons.STAGING_NOT_WRITABLE
