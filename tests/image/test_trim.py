"""What is left out of the image, and that the rest is compiled."""

from pathlib import Path

import pytest

from image.trim import main


def make(site: Path, *names: str) -> None:
    """Files with nothing but a comment in them."""
    for name in names:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("# nothing\n")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An empty site-packages below tmp_path."""
    found = tmp_path / "lib" / "python3.11" / "site-packages"
    found.mkdir(parents=True)
    return found


def test_data_of_other_services_goes(site: Path, tmp_path: Path) -> None:
    make(
        site,
        *(f"botocore/data/{name}" for name in ("s3/a.json", "sts/a.json", "ec2/a.json", "endpoints.json")),
    )

    assert main(tmp_path) == 0

    assert sorted(path.name for path in (site / "botocore/data").iterdir()) == ["endpoints.json", "s3", "sts"]


def test_tests_and_sources_for_builders_go(site: Path, tmp_path: Path) -> None:
    make(site, "a/tests/tests/x.py", "a/b.pyi", "a/c.pyx", "a/testing.py")

    assert main(tmp_path) == 0

    assert [path.name for path in (site / "a").iterdir() if path.is_file()] == ["testing.py"]
    assert not (site / "a/tests").exists()


def test_bytecode_for_what_a_cluster_needs(site: Path, tmp_path: Path) -> None:
    make(site, "a.py", "kubernetes_asyncio/client/b.py")

    assert main(tmp_path) == 0

    assert list((site / "__pycache__").glob("a.*.pyc"))
    assert not (site / "kubernetes_asyncio/client/__pycache__").exists()


def test_a_prefix_without_packages_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tmp_path) == 1
    assert "no site-packages" in capsys.readouterr().err
