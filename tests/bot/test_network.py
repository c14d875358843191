"""One setting for the way out: whose certificates are trusted, and through which proxy."""

from __future__ import annotations

import dataclasses
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from bot.forges.gitlab import GitLab
from bot.model.errors import Unavailable, UsageError
from bot.network import CA_NAMES, checked_proxy, go_out, trusted, variables
from bot.settings import GitLab as Table
from bot.settings import Network, Server, Settings
from tests.bot.forges.conftest import QUICK_GITLAB
from tests.simulators.gitlab import GitLabSimulator
from tests.way_out import Authority, Proxy, authority, front, proxy

OUTSIDE = "forge.bank.test:443"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("site"))


@pytest.fixture
def house(tmp_path: Path, site: Authority) -> Settings:
    return Settings(server=Server(data_dir=str(tmp_path)), network=Network(ca_file=str(site.ca)))


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*CA_NAMES, "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_our_authority_is_added_to_the_systems_and_does_not_replace_them(house: Settings, site: Authority) -> None:
    """SSL_CERT_FILE alone would take all others away from Python."""
    bundle = trusted(house)
    assert bundle is not None
    system = len(ssl.create_default_context().get_ca_certs())
    assert len(ssl.create_default_context(cafile=str(bundle)).get_ca_certs()) == system + 1
    assert site.ca.read_text().strip() in bundle.read_text()
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o644
    assert trusted(house) == bundle
    assert list(bundle.parent.iterdir()) == [bundle]


def test_the_forges_authority_may_stand_in_its_own_table(house: Settings, site: Authority) -> None:
    own = replace(house, network=Network(), gitlab=Table(ca_file=str(site.ca)))
    assert trusted(own) == trusted(house)
    assert trusted(replace(house, network=Network())) is None


def test_every_program_finds_the_bundle_under_its_own_name(house: Settings) -> None:
    found = variables(house, Path("/b.pem"), {})
    assert {name for name, value in found.items() if value == "/b.pem"} == set(CA_NAMES)
    assert "NO_PROXY" not in found


def test_what_is_not_set_stays_as_the_administrator_left_it(tmp_path: Path) -> None:
    environ = {"HTTPS_PROXY": "http://theirs:3128", "NO_PROXY": "intern.bank", "SSL_CERT_FILE": "/theirs.pem"}
    go_out(Settings(server=Server(data_dir=str(tmp_path))), environ)
    assert environ["HTTPS_PROXY"] == "http://theirs:3128"
    assert environ["SSL_CERT_FILE"] == "/theirs.pem"
    assert environ["NO_PROXY"].split(",") == ["intern.bank", "localhost", "127.0.0.1", "::1"]


def test_this_machine_is_always_reached_directly() -> None:
    found = variables(Settings(network=Network(proxy="http://p:1", no_proxy=("git.bank",))), None, {})
    assert found["https_proxy"] == found["HTTPS_PROXY"] == "http://p:1"
    assert found["no_proxy"] == "git.bank,localhost,127.0.0.1,::1"


@pytest.mark.parametrize("url", ["socks5://p:1", "p:3128", "http://", "ftp://p", "//p"])
def test_a_proxy_that_not_every_client_understands_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        checked_proxy(url)
    assert refused.value.code == "GW-NETWORK-PROXY"


@pytest.mark.parametrize("content", [None, "", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_file_that_holds_no_certificates_is_refused(tmp_path: Path, content: str | None) -> None:
    place = tmp_path / "ca.pem"
    if content is not None:
        place.write_text(content)
    with pytest.raises(UsageError) as refused:
        trusted(Settings(server=Server(data_dir=str(tmp_path)), network=Network(ca_file=str(place))))
    assert refused.value.code == "GW-NETWORK-CA"


@pytest.fixture
def outside(site: Authority) -> Iterator[tuple[GitLabSimulator, Proxy]]:
    """A GitLab with a certificate by the bank's authority, behind the bank's proxy and nowhere else."""
    with GitLabSimulator() as gitlab:
        plain = int(gitlab.url.rpartition(":")[2])
        with front(site, plain) as port, proxy({OUTSIDE: port}) as way:
            yield gitlab, way


async def test_the_api_is_reached_through_the_proxy_with_our_authority(
    house: Settings, outside: tuple[GitLabSimulator, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not without either of them: the name is known to the proxy alone, the certificate to our authority."""
    gitlab, way = outside
    _, token = gitlab.access_token(gitlab.project())
    once = dataclasses.replace(QUICK_GITLAB, tries=1)
    table = Table(url="https://forge.bank.test", token=token.value)

    async def me() -> int:
        forge = GitLab(table, pace=once)
        try:
            return (await forge.me()).id
        finally:
            await forge.close()

    with pytest.raises(Unavailable):
        await me()
    for name, value in variables(replace(house, network=Network(proxy=way.url)), None, {}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Unavailable) as caught:
        await me()
    assert "CERTIFICATE_VERIFY_FAILED" in caught.value.why
    for name, value in variables(house, trusted(house), {}).items():
        monkeypatch.setenv(name, value)
    assert await me()
    assert set(way.asked) == {OUTSIDE}
    async with httpx.AsyncClient() as client:  # what GitHub and the gateway use
        assert (await client.get("https://forge.bank.test/api/v4/user")).status_code == 401
