"""Files that end in the middle."""

from pathlib import Path

import pytest

from tidbbackup.worker.pipeline.completeness import is_cut_off

WHOLE = b"/*!40101 SET NAMES binary*/;\nINSERT INTO `t` VALUES\n(1),\n(2);\n"


@pytest.mark.parametrize("name", ["d.t.sql", "d.t.00001.sql", "d.t-schema.sql", "d-schema-create.sql"])
def test_a_file_of_statements_ends_with_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(WHOLE)
    assert not is_cut_off(path)
    for size in (len(WHOLE) - 1, len(WHOLE) - 6, 20, 1):
        path.write_bytes(WHOLE[:size])
        assert is_cut_off(path), size


@pytest.mark.parametrize(("name", "judged"), [("d.t.sql", True), ("metadata", False)])
def test_only_what_holds_statements_is_judged(tmp_path: Path, name: str, judged: bool) -> None:
    for content in (b"", b"Started dump at: 2026"):
        (tmp_path / name).write_bytes(content)
        assert is_cut_off(tmp_path / name) is judged
