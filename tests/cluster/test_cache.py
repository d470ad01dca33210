"""Where the cache is."""

from pathlib import Path

import pytest

from tests.cluster import cache


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"XDG_CACHE_HOME": "/x/cache", "HOME": "/h"}, "/x/cache/tidbbackup"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/tidbbackup"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/tidbbackup"),
    ],
)
def test_the_cache_folder(environ: dict[str, str], folder: str) -> None:
    assert cache.folder(environ) == Path(folder)


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}])
def test_without_a_home_in_the_environment_the_user_database_has_one(environ: dict[str, str]) -> None:
    assert cache.folder(environ).is_absolute()
    assert cache.folder(environ).parts[-2:] == (".cache", "tidbbackup")
