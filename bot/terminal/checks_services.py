"""Checks of what Gatewright talks to: Redis, GitHub, GitLab, models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.app import check, check_gitlab
from bot.embedded import find_server
from bot.model.errors import GatewrightError, UsageError
from bot.network import go_out
from bot.terminal.checks import Finding, Place, Verdict, ask, failed, fine
from bot.terminal.checks_machine import version
from bot.terminal.offers import offers
from bot.web.health import DURABLE, Readiness

if TYPE_CHECKING:
    from bot.forges.gitlab_survey import Remark

SECONDS: Final = 5.0
LOST: Final = {
    "volatile": (
        "it keeps nothing on disk",
        "CONFIG SET appendonly yes, or accept it with redis.allow_volatile = true",
    ),
    "failing": ("it cannot write its file", "look at its disk and its log"),
    "unreachable": ("it does not say whether it keeps what it is told", "allow INFO and CONFIG GET to this ACL user"),
}


def redis(place: Place) -> Iterator[Finding]:
    """Find the server that would be started, or ask the one that the settings name."""
    url = place.settings.redis.url
    if url != "embedded":
        yield asyncio.run(_reach(url, allow_volatile=place.settings.redis.allow_volatile))
        return
    try:
        server = find_server()
    except GatewrightError as error:
        yield failed("redis", error)
    else:
        yield fine("redis", f"embedded: {server.name} {version([str(server), '--version'])}, AOF on")


async def _reach(url: str, *, allow_volatile: bool) -> Finding:
    client = Redis.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS)
    try:
        about: dict[str, Any] = await client.info("server")
        state = await Readiness(client, allow_volatile=allow_volatile).state()
    except (RedisError, OSError) as error:
        fix = "check [redis] url, and that Redis runs and lets this user in"
        return Finding(Verdict.FAIL, "redis", "the configured Redis does not answer", str(error), fix)
    finally:
        await client.aclose()
    words = f"{about.get('redis_version', 'version unknown')}, {state}"
    if state == DURABLE:
        return fine("redis", words)
    why, fix = LOST[state]
    return Finding(Verdict.WARN if allow_volatile and state == "volatile" else Verdict.FAIL, "redis", words, why, fix)


def github(place: Place) -> Iterator[Finding]:
    """Ask GitHub who we are."""
    table = place.settings.github
    if not (table.app_id or table.token):
        yield fine("github", "not configured; `run` and `demo` need none")
        return
    try:
        check(table)
        login = asyncio.run(_who(place))
    except GatewrightError as error:
        yield failed("github", error)
    else:
        kind = f"App {table.app_id}" if table.app_id else "a token"
        yield fine("github", f"{table.api_url} as {login}, with {kind}, {len(table.webhook_secrets)} webhook secret(s)")


async def _who(place: Place) -> str:
    from bot.forges.github import GitHub  # noqa: PLC0415 - most machines that ask have no GitHub

    forge = GitHub(place.settings.github)
    try:
        return (await asyncio.wait_for(forge.me(), 4 * SECONDS)).login
    except TimeoutError:
        raise GatewrightError(
            "GW-DOCTOR-SLOW", f"GitHub did not answer within {4 * SECONDS:.0f} s",
            fix="check the way to it: proxy (HTTPS_PROXY), firewall, [github] api_url",
        ) from None  # fmt: skip
    finally:
        await forge.close()


def gitlab(place: Place) -> Iterator[Finding]:
    """Ask GitLab who we are and, where they are named, what a project lets us do and what becomes of commands."""
    table = place.settings.gitlab
    if not table.token:
        if place.project or place.self_test:
            fix = "set [gitlab] url and token"
            yield failed("gitlab", UsageError("GW-DOCTOR-SELF-TEST", "no GitLab is configured to look at", fix=fix))
        else:
            yield fine("gitlab", "not configured; `run` and `demo` need none")
        return
    try:
        check_gitlab(table)
        for remark in asyncio.run(_look(place)):
            verdict = Verdict.FAIL if remark.is_fault else Verdict.WARN if remark.fix else Verdict.OK
            yield Finding(verdict, "gitlab", remark.words, remark.why, remark.fix)
    except GatewrightError as error:
        yield failed("gitlab", error)


async def _look(place: Place) -> list[Remark]:
    from bot.forges import gitlab_selftest, gitlab_survey  # noqa: PLC0415 - most machines that ask have no GitLab

    settings = place.settings
    survey = gitlab_survey.Survey(settings.gitlab, public_url=settings.server.public_url)
    try:
        found = await survey.instance()
        project = place.project or (gitlab_selftest.place(place.self_test)[0] if place.self_test else "")
        if project:
            found += await survey.project(project)
            found += await _exposed(place, project)
    finally:
        await survey.close()
    if place.self_test:
        bot_name = settings.trigger.bot_name
        found += await gitlab_selftest.self_test(settings.gitlab, place.self_test, bot_name=bot_name)
    return found


async def _exposed(place: Place, path: str) -> list[Remark]:
    """Look at what could go around the gates, and at whether the forge holds merges to them where policy says so."""
    from bot.forges.gitlab import GitLab  # noqa: PLC0415 - most machines that ask have no GitLab
    from bot.forges.gitlab_exposure import Exposure  # noqa: PLC0415
    from bot.forges.gitlab_survey import Remark  # noqa: PLC0415
    from bot.tasks.ballot import STATUS_NAME  # noqa: PLC0415

    settings = place.settings
    exposure = Exposure(settings.gitlab, runs_ci=settings.policy.ci == "run")
    try:
        found = await exposure.project(path)
        here = await exposure.place(path)
    finally:
        await exposure.close()
    if settings.policy.target_branch == "enforced":
        forge = GitLab(settings.gitlab, bot_name=settings.trigger.bot_name)
        try:
            held = await forge.protection(here.repo, here.default_branch, STATUS_NAME)
        finally:
            await forge.close()
        words = f"merges into {here.default_branch} are {'' if held.is_enforced else 'not '}held to the gate"
        fix = "" if held.is_enforced else 'protect it as docs/gitlab.md says, or [policy] target_branch = "advisory"'
        found.append(Remark(words, held.why, fix))
    return found


def network(place: Place) -> Iterator[Finding]:
    """Take the way out that [network] names, for all checks that follow; nothing is said where it names none."""
    try:
        go_out(place.settings)
    except GatewrightError as error:
        yield failed("network", error)
        return
    except OSError as error:
        why = error.strerror or str(error)
        fix = "run this as the user of the service, or make [server] data_dir writable"
        yield Finding(Verdict.FAIL, "network", "the authorities to trust cannot be put together", why, fix)
        return
    table = place.settings.network
    named = [name for name in ("ca_file", "proxy", "no_proxy") if getattr(table, name)]
    if named:
        yield fine("network", f"{', '.join(named)} of [network] in force")


def models(place: Place) -> Iterator[Finding]:
    """See whether every model and provider of the settings would work here; models are listed, and none is asked."""
    if not (place.settings.providers or place.settings.endpoints) and (found := offers()):
        yield fine("models", f"`run` takes {found[0].model}: {found[0].because}; a server needs [providers] of its own")
        return
    said, error = ask(place, ["models", "check", "--json"])
    for line in said.splitlines():
        look = json.loads(line)
        if problem := look.get("error"):
            yield failed("models", GatewrightError(**problem))
        else:
            words = f"{look['model']}: {look['words']}"
            yield Finding(Verdict(look["verdict"]), "models", words, look["why"], look["fix"])
    if error is not None and not said:
        yield failed("models", error)
