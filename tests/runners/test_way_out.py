"""The worker's three ways out, under one setting: git, the model's gateway, and the agents in their jail."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.forges.protocol import GitAccess
from bot.model.errors import GatewrightError
from bot.model.event import ForgeKind, Repo
from bot.network import CA_NAMES, trusted, variables
from bot.settings import Network, Server, Settings
from runners.gateway import server
from runners.providers.command import environment
from runners.site import Site
from runners.way_out import way_out
from runners.workspace.mirror import Mirror
from runners.workspace.options import TRUST
from tests.runners.gateway.conftest import bench, directory, recorder
from tests.runners.recorder import ListRecorder
from tests.runners.workspace.kit import REPO, Source, _jails, ask, make_jail, place, source, tree, work
from tests.runners.workspace.kit import serve as serve_git
from tests.simulators.models import ModelServer, Script, Step
from tests.way_out import Authority, Proxy, authority, front, proxy

__all__ = ["_jails", "bench", "directory", "make_jail", "place", "recorder", "source", "tree", "work"]  # fixtures
FORGE = "forge.bank.test:443"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("site"))


@pytest.fixture
def house(place: Path, site: Authority) -> Settings:
    return Settings(server=Server(data_dir=str(place / "data")), network=Network(ca_file=str(site.ca)))


def leave(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Do what a worker does at its start."""
    for name, value in variables(settings, trusted(settings), {}).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def outside(site: Authority, source: Source) -> Iterator[Proxy]:
    """A forge's git behind TLS by the site's authority and behind the site's proxy."""
    with serve_git(source.path.parent) as git, front(site, git.server_port) as port, proxy({FORGE: port}) as way:
        yield way


async def test_git_fetches_through_the_proxy_with_our_authority(
    work: Path, outside: Proxy, house: Settings, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = Repo(ForgeKind.GITLAB, "forge.bank.test", 7, "bank/pay/core")
    access = GitAccess("x-access-token", "s3cr3t-tok3n", 0)
    mirror = await Mirror.open(work / "mirrors", repo, "https://forge.bank.test/source/.git")
    proxied = Settings(server=house.server, network=Network(ca_file=house.network.ca_file, proxy=outside.url))
    with pytest.raises(GatewrightError):  # the name is not known here
        await mirror.fetch(access)
    monkeypatch.setenv("https_proxy", outside.url)
    with pytest.raises(GatewrightError) as caught:
        await mirror.fetch(access)
    assert "certificate" in caught.value.why
    leave(monkeypatch, proxied)
    await mirror.fetch(access)
    assert await mirror.head("main") == source.git("rev-parse HEAD")
    assert set(outside.asked) == {FORGE}


async def test_a_host_that_is_reached_directly_does_not_meet_the_proxy(
    work: Path, site: Authority, house: Settings, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_git(source.path.parent) as git, front(site, git.server_port) as port, proxy({}) as way:
        leave(monkeypatch, Settings(server=house.server, network=Network(house.network.ca_file, way.url)))
        mirror = await Mirror.open(work / "mirrors", REPO, f"https://localhost:{port}/source/.git")
        await mirror.fetch(GitAccess("x-access-token", "s3cr3t-tok3n", 0))
    assert way.asked == []


async def test_a_model_is_asked_through_the_proxy_with_our_authority(
    bench, site: Authority, house: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ModelServer(Script([Step(text="hello")])) as models:
        plain = int(models.url.rpartition(":")[2])
        with front(site, plain) as port, proxy({"model.bank.test:443": port}) as way:
            leave(monkeypatch, Settings(server=house.server, network=Network(house.network.ca_file, way.url)))
            server.trust.cache_clear()
            async with bench(upstream={"base_url": "https://model.bank.test"}) as opened:
                answer = await opened.ask()
            server.trust.cache_clear()
    assert answer.status_code == 200, answer.text
    assert set(way.asked) == {"model.bank.test:443"}


async def test_an_agent_finds_the_authorities_and_no_proxy(
    make_jail, tree: Path, house: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under every name, read-only, whoever may read the original."""
    leave(monkeypatch, Settings(server=house.server, network=Network(house.network.ca_file, "http://127.0.0.1:9")))
    bundle = trusted(house)
    assert bundle is not None
    bundle.parent.chmod(0o700)
    jail = make_jail(tree, trust=bundle)
    script = f"import os,ssl; print(len(ssl.create_default_context().get_ca_certs()), flush=True); open({TRUST!r}, 'a')"
    ended = await jail.run(["python3", "-c", script], timeout=20)
    counted, _, refusal = ended.output.partition("\n")
    assert int(counted) == len(ssl.create_default_context(cafile=str(bundle)).get_ca_certs()) > 1
    assert "Read-only file system" in refusal or "Permission denied" in refusal
    ended = await jail.run(["env"], timeout=10)
    shown = dict(line.partition("=")[::2] for line in ended.output.splitlines())
    assert {name: shown.get(name) for name in CA_NAMES} == dict.fromkeys(CA_NAMES, TRUST)
    assert not [name for name in shown if "proxy" in name.lower()]
    assert os.environ["HTTPS_PROXY"]


async def test_where_policy_lets_hosts_be_reached_runtimes_are_led_to_the_filtering_proxy(
    make_jail, tree: Path
) -> None:
    """Through the relay of the real jail: the one that is allowed answers, the gateway's own port stays what it was."""
    with serve_git(tree) as server:
        place = f"127.0.0.1:{server.server_port}"
        site = Site(Settings())
        recorder = ListRecorder()
        async with way_out(site, [place], recorder, "egress") as egress, way_out(site, [], recorder, "none") as none:
            assert none is None
            assert egress is not None
            jail = make_jail(tree, egress=egress.socket)
            wrapper = jail.wrapper(["env"], env=environment(jail.gateway_url, jail.outside))
            shown = dict(line.partition("=")[::2] for line in ask(wrapper).stdout.splitlines())
            tries = [
                f"curl -s -o /dev/null -w '%{{http_code}}' --noproxy '' http://{goal}/" for goal in (place, "10.0.0.1")
            ]
            ended = await jail.run(["sh", "-c", "; echo; ".join(tries)], timeout=20)
    assert shown["HTTPS_PROXY"] == shown["http_proxy"] == jail.outside == "http://127.0.0.1:8901"
    assert "127.0.0.1" in shown["NO_PROXY"]
    assert ended.output.split() == ["401", "403"]
    assert [record.outcome for record in recorder.of("gate")] == ["ok", "denied", "ok"]


async def test_a_jail_without_allowed_hosts_has_no_filtering_proxy(make_jail, tree: Path) -> None:
    jail = make_jail(tree)
    assert jail.outside == jail.gateway_url
    ended = await jail.run(["sh", "-c", "env; ls /run; cat /proc/net/tcp"], timeout=20)
    assert "proxy" not in ended.output.lower()
    assert "egress" not in ended.output
    assert "22C5" not in ended.output  # port 8901
