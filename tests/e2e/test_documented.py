"""How README's commands are found."""

import pytest

from tests.e2e.documented import commands, first_backup, image_in, install

TEXT = """
# Title

    not of the section

## One

Words:

    first |
      goes on

more words

    second
    third

## Two

    not of the section
"""


def test_blocks_of_a_section() -> None:
    assert commands("One", TEXT) == ["first |\n      goes on", "second\n    third"]


def test_the_images_new_name() -> None:
    assert image_in("sed 's|a:1|registry.example/a:1|' x") == "registry.example/a:1"
    with pytest.raises(ValueError, match="no image"):
        image_in("kubectl apply")


def test_readme_installs_in_one_and_backs_up_in_three() -> None:
    assert install().count("kubectl") == 1
    assert image_in(install()).endswith("/tidbbackup:0.1.0")
    assert [line.split()[0] for line in first_backup().splitlines()] == ["kubectl"] * 3
