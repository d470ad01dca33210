"""How the images of the shipped manifests are found."""

import pytest

from tests.e2e.installation import INSTALL, deployed_images, full_name


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("tidbbackup:1", "docker.io/library/tidbbackup:1"),
        ("someone/tidbbackup:1", "docker.io/someone/tidbbackup:1"),
        ("ghcr.io/someone/tidbbackup:1", "ghcr.io/someone/tidbbackup:1"),
        ("localhost/tidbbackup:1", "localhost/tidbbackup:1"),
        ("registry:5000/tidbbackup", "registry:5000/tidbbackup"),
    ],
)
def test_full_name(short: str, full: str) -> None:
    assert full_name(short) == full


def test_install_yaml_names_one_image() -> None:
    assert len(deployed_images(INSTALL.read_text())) == 1
