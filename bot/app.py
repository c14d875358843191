"""The web process put together: settings in, routes out; nothing else wires."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import uvicorn
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from starlette.applications import Starlette
from starlette.routing import Route

from bot import logs
from bot.forges.github_delivery import GitHubDelivery
from bot.forges.gitlab_delivery import GitLabDelivery
from bot.inbox import Inbox
from bot.model.errors import UsageError
from bot.project_secrets import check_projects, own_secrets
from bot.settings import GitHub, GitLab, Settings
from bot.web.body import BodyReader, Limits
from bot.web.health import Readiness, healthz
from bot.web.patience import Patience
from bot.web.webhooks import Scheme, Webhook

REDIS_SECONDS: Final = 3.0  # with one retry still an answer within the 10 s that a forge waits
CONNECTIONS: Final = 1_024  # open at once; more are answered 503
DRAIN_SECONDS: Final = 15


def create_app(settings: Settings, redis: Redis | None = None, *, limits: Limits | None = None) -> Starlette:
    """Build the application; a Redis that is given stays the caller's, else one is opened from the settings."""
    client = redis if redis is not None else connect(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        if redis is None:
            await client.aclose()

    inbox, reader = Inbox(client, settings.redis.inbox_max), BodyReader(limits or Limits())
    readiness = Readiness(client, allow_volatile=settings.redis.allow_volatile)
    routes = [
        *(
            Route(
                f"/webhooks/{scheme.forge}",
                Webhook(scheme, host=host, inbox=inbox, reader=reader, own=own_schemes(settings, scheme.forge)),
                methods=["POST"],
            )
            for scheme, host in schemes(settings)
        ),
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", readiness.readyz, methods=["GET"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def schemes(settings: Settings) -> Iterator[tuple[Scheme, str]]:
    """List the forges that may deliver, with the host each one speaks for."""
    github, gitlab = settings.github, settings.gitlab
    yield GitHubDelivery(github.webhook_secrets), urlsplit(github.web_url).hostname or ""
    proof = GitLabDelivery(gitlab.webhook_tokens, gitlab.signing_secrets, require_signing=gitlab.require_signing)
    if gitlab.token or proof.is_armed or own_schemes(settings, "gitlab"):
        yield proof, urlsplit(gitlab.url).hostname or ""


def own_schemes(settings: Settings, forge: str) -> Mapping[int, Scheme]:
    """Make the schemes of repositories with webhook secrets of their own, by repository id."""
    signed = settings.gitlab.require_signing
    found: dict[int, Scheme] = {}
    for each in own_secrets(settings):
        if each.forge == forge == "github":
            found[each.id] = GitHubDelivery(each.table.webhook_secrets)
        elif each.forge == forge:
            table = each.table
            found[each.id] = GitLabDelivery(table.webhook_tokens, table.signing_secrets, require_signing=signed)
    return found


def connect(settings: Settings) -> Redis:
    """Open a client whose calls end in time to answer a forge."""
    url = settings.redis.url
    if url == "embedded":
        raise UsageError(
            "GW-REDIS-EMBEDDED",
            "This process alone cannot use the embedded Redis.",
            why="it belongs to the process that starts it, and control and workers need the same one",
            fix="use `gatewright up`, or set [redis] url to redis://, rediss:// or unix://",
        )
    once = Retry(NoBackoff(), 1)  # for a connection that Redis closed while it was idle
    return Redis.from_url(url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS, retry=once)


def serve(settings: Settings) -> None:
    """Run the web process until it is told to stop; refuses to start where deliveries could not be verified."""
    check_all(settings)
    logs.plain("web")
    uvicorn.Server(configure(create_app(settings), settings)).run()


def configure(app: Starlette, settings: Settings) -> uvicorn.Config:
    """Say how uvicorn runs the application: bounded in connections and in patience with them."""
    http: Any = Patience()  # uvicorn calls a class here; any maker of protocols does
    return uvicorn.Config(
        app,
        host=settings.server.host,
        port=settings.server.port,
        http=http,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


def check_all(settings: Settings) -> None:
    """Raise where a forge is configured and its deliveries could not be told from anybody's."""
    own = own_secrets(settings)
    check(settings.github, has_own=any(each.forge == "github" for each in own))
    check_gitlab(settings.gitlab, has_own=any(each.forge == "gitlab" for each in own))
    check_projects(settings)
    for forge in ("github", "gitlab"):
        if not all(scheme.is_armed for scheme in own_schemes(settings, forge).values()):
            fix = "set signing_secrets in every table of [projects] on GitLab, or require_signing = false"
            raise UsageError("GW-WEB-NO-SECRET", "A project's deliveries must be signed, and no key is known.", fix=fix)


def check(github: GitHub, *, has_own: bool = False) -> None:
    """Raise where GitHub is configured and its deliveries could not be told; `has_own`: repositories have secrets."""
    if any(not secret.strip() for secret in github.webhook_secrets):
        raise UsageError("GW-WEB-EMPTY-SECRET", "A webhook secret is empty.", fix="see [github] webhook_secrets")
    if (github.app_id or github.token) and not github.webhook_secrets and not has_own:
        fix = "set [github] webhook_secrets, and the same secret in the webhook's settings on GitHub"
        raise _open("GitHub", fix)


def check_gitlab(gitlab: GitLab, *, has_own: bool = False) -> None:
    """Raise where GitLab is configured and its deliveries could not be told; `has_own`: projects have secrets."""
    if any(not secret.strip() for secret in (*gitlab.webhook_tokens, *gitlab.signing_secrets)):
        fix = "see [gitlab] webhook_tokens and signing_secrets"
        raise UsageError("GW-WEB-EMPTY-SECRET", "A webhook secret is empty.", fix=fix)
    proof = GitLabDelivery(gitlab.webhook_tokens, gitlab.signing_secrets, require_signing=gitlab.require_signing)
    if gitlab.require_signing and not gitlab.signing_secrets and not has_own:
        fix = "set [gitlab] signing_secrets, or require_signing = false"
        raise UsageError("GW-WEB-NO-SECRET", "GitLab's deliveries must be signed, and no key is known.", fix=fix)
    if gitlab.token and not proof.is_armed and not has_own:
        fix = "set [gitlab] webhook_tokens or signing_secrets, and the same in the webhook's settings on GitLab"
        raise _open("GitLab", fix)


def _open(forge: str, fix: str) -> UsageError:
    return UsageError(
        "GW-WEB-NO-SECRET", f"{forge} is configured without a webhook secret.",
        why="anybody could send deliveries", fix=fix,
    )  # fmt: skip
