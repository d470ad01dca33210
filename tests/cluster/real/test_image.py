"""What makes an image another one."""

from pathlib import Path

from .image import content_key


def test_the_key_changes_with_content_and_name(tmp_path: Path) -> None:
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_text("1")
    other.write_text("1")
    key = content_key([file], tmp_path)

    assert content_key([other], tmp_path) != key
    assert content_key([file, other], tmp_path) != key
    file.write_text("2")
    assert content_key([file], tmp_path) != key
    file.write_text("1")
    assert content_key([file], tmp_path) == key
