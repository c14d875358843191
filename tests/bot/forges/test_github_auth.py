"""Who we are to GitHub: JWTs, installation tokens, git credentials, over loopback against the simulator."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bot.forges.github import GitHub
from bot.forges.github_auth import AppKey
from bot.forges.protocol import GitAccess
from bot.model.errors import GatewrightError, UsageError
from bot.model.event import Repo
from bot.settings import GitHub as Table
from tests.simulators.github import GitHubSimulator
from tests.simulators.github.access import verify_jwt
from tests.simulators.github.server import app_key
from tests.simulators.github.world import Repository, World

Bots = Callable[..., GitHub]


@pytest.fixture
def repository(github: GitHubSimulator) -> Repository:
    made = github.repository("octo/shop")
    github.install(made)
    return made


def minted(github: GitHubSimulator) -> int:
    return sum(exchange.path.endswith("/access_tokens") and exchange.status == 201 for exchange in github.exchanges)


@pytest.mark.parametrize("ahead", [-420, -60, 0, 59])
def test_a_jwt_is_good_on_githubs_clock_whichever_way_ours_is_off(tmp_path: Path, ahead: int) -> None:
    """`iat` lies a minute back and `exp` within ten minutes, so drift of a minute ahead or seven behind passes."""
    world = World(tmp_path)
    pem, world.app_public_key = app_key()
    made = AppKey(world.app_id, pem, lambda: time.time() + ahead).bearer()
    verify_jwt(world, made.value)


def test_a_jwt_is_reused_and_renewed_before_it_expires(tmp_path: Path) -> None:
    """One signature serves six minutes; a clock that jumps back makes a new one."""
    world = World(tmp_path)
    pem, _ = app_key()
    now = 1_000_000.0
    key = AppKey(world.app_id, pem, lambda: now)
    first = key.bearer()
    now += 359
    assert key.bearer() == first
    now += 1
    second = key.bearer()
    assert second != first
    now -= 500
    assert key.bearer() not in {first, second}


def test_a_key_from_the_environment_may_have_its_lines_flattened() -> None:
    """`\\n` written out is put right."""
    pem, _ = app_key()
    assert AppKey(1, pem.strip().replace("\n", "\\n"), time.time).bearer().value.count(".") == 2


def other_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, pkcs8, plain).decode()


@pytest.mark.parametrize(
    "pem", ["nonsense", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----", "ec"]
)
def test_a_key_that_is_none_says_what_to_give(pem: str) -> None:
    """The error never quotes the key."""
    text = other_key() if pem == "ec" else pem
    with pytest.raises(UsageError) as caught:
        AppKey(1, text, time.time)
    assert caught.value.code == "GW-FORGE-SETTINGS"
    assert ".pem" in caught.value.fix
    assert "AAAA" not in str(caught.value)


def test_no_credentials_is_a_usage_error() -> None:
    """Half an App is no App."""
    with pytest.raises(UsageError, match="no credentials"):
        GitHub(Table(app_id=7))


async def test_one_token_is_minted_for_all_who_wait(github: GitHubSimulator, bot: Bots, repository: Repository) -> None:
    """Twenty calls at once share one installation look-up and one token."""
    forge, repo = bot(), github.repo(repository)
    await asyncio.gather(*(forge.head(repo, "main") for _ in range(20)))
    assert minted(github) == 1


async def test_a_token_is_renewed_five_minutes_before_it_expires(
    github: GitHubSimulator, bot: Bots, repository: Repository
) -> None:
    """By our clock, against the expiry that GitHub named."""
    offset = 0.0
    forge, repo = bot(clock=lambda: time.time() + offset), github.repo(repository)
    await forge.head(repo, "main")
    offset = 3600 - 301
    github.skew(offset)
    await forge.head(repo, "main")
    assert minted(github) == 1
    offset += 2
    await forge.head(repo, "main")
    assert minted(github) == 2


async def test_a_revoked_token_is_replaced_once(github: GitHubSimulator, bot: Bots, repository: Repository) -> None:
    """Calls that find the token refused get the new one, and nobody mints twice."""
    forge, repo = bot(), github.repo(repository)
    await forge.head(repo, "main")
    github.revoke_tokens()
    await asyncio.gather(*(forge.head(repo, "main") for _ in range(5)))
    assert minted(github) == 2


async def test_a_reinstalled_app_is_found_again(github: GitHubSimulator, bot: Bots) -> None:
    """The installation's id changes; the old one is forgotten."""
    made = github.repository("octo/shop")
    first = github.install(made)
    forge, repo = bot(), github.repo(made)
    await forge.head(repo, "main")
    github.uninstall(first)
    github.install(made)
    assert await forge.head(repo, "main")


async def test_the_installation_of_an_event_saves_the_look_up(
    github: GitHubSimulator, bot: Bots, repository: Repository
) -> None:
    """A verified delivery names it; a stale one is looked up after all."""
    forge, repo = bot(), github.repo(repository)
    forge.learn(repo, next(iter(github.world.installations)))
    await forge.head(repo, "main")
    assert not any(exchange.path.endswith("/installation") for exchange in github.exchanges)
    stale = bot()
    stale.learn(repo, 12345)
    assert await stale.head(repo, "main")


async def test_an_app_that_is_not_installed_says_so(github: GitHubSimulator, bot: Bots) -> None:
    """The error names the repository and the way to the button."""
    with pytest.raises(GatewrightError) as caught:
        await bot().head(github.repo(github.repository("octo/shop")), "main")
    assert (caught.value.code, "octo/shop" in caught.value.what) == ("GW-FORGE-AUTH", True)
    with pytest.raises(GatewrightError, match="any account"):
        await bot().me()


async def test_a_clock_that_is_far_off_is_named(github: GitHubSimulator, bot: Bots, repository: Repository) -> None:
    """GitHub only says that it dislikes the token; its Date header tells why."""
    with pytest.raises(GatewrightError) as caught:
        await bot(clock=lambda: time.time() + 900).head(github.repo(repository), "main")
    assert caught.value.code == "GW-FORGE-AUTH"
    assert "clock" in caught.value.fix
    assert re.search(r"\+(8|9)\d\d s off", caught.value.fix)


async def test_a_refused_personal_token_stays_refused(
    github: GitHubSimulator, bot: Bots, repository: Repository
) -> None:
    """It is asked once, and the token is in no message."""
    with pytest.raises(GatewrightError) as caught:
        await bot(token="ghp_wrong").head(github.repo(repository), "main")
    assert caught.value.code == "GW-FORGE-AUTH"
    assert "ghp_wrong" not in str(caught.value)
    assert len(github.exchanges) == 1


def git(*args: str, cwd: Path, access: GitAccess | None = None) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(cwd), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": "a", f"GIT_{role}_EMAIL": "a@example.com"}
    if access:
        basic = b64encode(f"{access.username}:{access.password}".encode()).decode()
        env |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.extraHeader"}
        env["GIT_CONFIG_VALUE_0"] = f"Authorization: Basic {basic}"
    return subprocess.run(["git", *args], cwd=cwd, env=env, capture_output=True, text=True, check=False)


async def access(forge: GitHub, repo: Repo, *, write: bool) -> GitAccess:
    given = await forge.git_access(repo, write=write)
    assert given is not None
    return given


async def test_git_gets_a_token_for_one_repository_and_one_direction(
    github: GitHubSimulator, bot: Bots, tmp_path: Path
) -> None:
    """Real git: read fetches and cannot push; write pushes branches and audit refs; neither opens others."""
    shop, other = github.repository("octo/shop"), github.repository("octo/other")
    github.install(shop, other)
    forge, repo = bot(), github.repo(shop)
    home = await forge.home(repo)
    read, write = await access(forge, repo, write=False), await access(forge, repo, write=True)
    assert read.username == "x-access-token"
    assert 3000 < read.expires_ms / 1000 - time.time() < 3700
    work = tmp_path / "work"

    def run() -> None:
        assert git("clone", "-q", home.clone_url, str(work), cwd=tmp_path).returncode != 0
        assert git("clone", "-q", home.clone_url, str(work), cwd=tmp_path, access=read).returncode == 0
        assert git("commit", "-q", "--allow-empty", "-m", "x", cwd=work).returncode == 0
        refs = ["HEAD:refs/heads/gatewright/1-abcdef-x", "HEAD:refs/gatewright/audit/1-abcdef"]
        assert git("push", "-q", "origin", *refs, cwd=work, access=read).returncode != 0
        pushed = git("push", "-q", "origin", *refs, cwd=work, access=write)
        assert pushed.returncode == 0, pushed.stderr
        elsewhere = home.clone_url.replace("shop", "other")
        assert git("ls-remote", elsewhere, cwd=work, access=write).returncode != 0

    await asyncio.to_thread(run)
    tip = await forge.head(repo, "gatewright/1-abcdef-x")
    assert github.hosting.sha(shop, "refs/gatewright/audit/1-abcdef") == tip


async def test_git_access_cannot_reach_the_api_beyond_contents(
    github: GitHubSimulator, bot: Bots, repository: Repository
) -> None:
    """What a worker holds can neither comment nor set a status."""
    given = await access(bot(), github.repo(repository), write=True)
    with pytest.raises(GatewrightError) as caught:
        await bot(token=given.password).comment(github.repo(repository), 1, "hello")
    assert caught.value.code == "GW-FORGE-FORBIDDEN"


async def test_a_personal_token_serves_git_as_it_is(github: GitHubSimulator, bot: Bots, repository: Repository) -> None:
    """GitHub cannot narrow it; it is asked for again within the hour."""
    token = github.user("mira", repository, "write").makes_token().value
    given = await access(bot(token=token), github.repo(repository), write=True)
    assert (given.username, given.password) == ("x-access-token", token)
    assert given.expires_ms / 1000 - time.time() < 3601
