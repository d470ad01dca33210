"""How a machine's settings for its registries reach the build."""

from pathlib import Path

import pytest

from .machine_settings import apt_conf, ca_bundle, mirror, pip_conf, pip_settings

LISTED = ":env:.cert='/a.pem'\n:env:.index-url='https://first.example/simple'\nglobal.index-url='https://second.example'\nglobal.no-color='1'\n"


def test_the_environment_wins_over_files() -> None:
    assert pip_settings(LISTED)["index-url"] == "https://first.example/simple"


def test_pip_conf_has_what_is_about_the_network_only() -> None:
    conf = pip_conf(pip_settings(LISTED), with_ca=True)

    assert conf == "[global]\nindex-url = https://first.example/simple\ncert = /run/machine-ca.crt\n"


def test_pip_conf_of_a_machine_without_settings() -> None:
    assert pip_conf({}, with_ca=False) == "[global]\n"


def test_apt_conf_keeps_proxies() -> None:
    dumped = 'APT::Architecture "amd64";\nAcquire::http::Proxy "http://proxy.example:3128";\n'

    assert apt_conf(dumped) == 'Acquire::http::Proxy "http://proxy.example:3128";\n'


def test_the_first_bundle_that_exists(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()

    assert ca_bundle({"PIP_CERT": str(tmp_path / "none"), "SSL_CERT_FILE": str(bundle)}) == bundle
    assert ca_bundle({}) is None


@pytest.mark.parametrize("asked", ["http://mirror.example/debian"])
def test_a_mirror_that_is_asked_for(asked: str) -> None:
    assert mirror({"DEBIAN_MIRROR": asked}) == asked
