"""What a queue can make a worker do: `run(task id, attempt)`, and nothing else."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

import structlog
from redis.asyncio import Redis

from bot.audit.blobs import Blobs
from bot.audit.order import verify_order
from bot.keyring import runner_key
from bot.model.errors import GatewrightError, Refused
from bot.model.order import Order
from runners.access import Access
from runners.handover import take
from runners.names import ALIVE_SECONDS, Names
from runners.pipeline import Attempt, perform
from runners.site import Site
from runners.stream import Recorder

CLAIM_SECONDS: Final = 14 * 24 * 3600  # as long as the order itself


def run(task: str, attempt: int) -> None:
    """Carry out one attempt in a work-horse; an attempt that is not ordered, or runs already, is left alone."""
    handed = take()
    asyncio.run(carry_out(Site(handed.settings, handed.slot), Names(task, attempt)))


async def carry_out(site: Site, names: Names) -> None:
    """Take an attempt up: (1) read the order and its signature, (2) look at the fence, (3) claim, (4) perform."""
    log = structlog.get_logger().bind(task=names.task, attempt=names.attempt)
    redis = Redis.from_url(site.settings.redis.url, health_check_interval=30)
    try:
        order = await _ordered(redis, site, names)  # (1)
        if await redis.get(names.current) != str(names.attempt).encode():  # (2)
            log.info("attempt.superseded", why="another attempt is the current one")
            return
        claim = secrets.token_hex(16)
        if not await redis.set(names.claim, claim, nx=True, ex=CLAIM_SECONDS):  # (3)
            log.info("attempt.repeated", why="RQ started it twice; the first run counts")
            return
        await redis.set(names.alive, claim, ex=ALIVE_SECONDS)
        await _perform(site, order, redis, names, claim)  # (4)
    except GatewrightError as error:
        log.warning("attempt.refused", code=error.code, what=error.what, why=error.why, fix=error.fix)
    finally:
        await redis.aclose()


async def _perform(site: Site, order: Order, redis: Redis, names: Names, claim: str) -> None:
    recorder = Recorder(redis, names, Blobs(site.blobs), claim, secrets=site.secrets)
    policy = site.settings.policy.sha256()
    if policy != order.server_policy_sha256:
        await _decline(order, recorder, policy)
        return
    access = Access(redis, names, runner_key(site.data, site.settings.server.instance), order.repo.forge, policy)
    await perform(Attempt(site, order, redis, names, claim, recorder, access))


async def _decline(order: Order, recorder: Recorder, policy: str) -> None:
    """End an attempt that control ordered under other rules than this worker has, in words for people."""
    error = Refused(
        "GW-POLICY-DIFFERS",
        "control and the worker have different rules in [policy], so nothing was done",
        why=f"control goes by {order.server_policy_sha256[:12]}, the worker by {policy[:12]}",
        fix="give both the same gatewright.toml and environment, start both again, then `retry`",
    )
    await recorder.end({"step": order.step.value, "code": error.code}, outcome="fail", explanation=str(error))
    await recorder.close()


async def _ordered(redis: Redis, site: Site, names: Names) -> Order:
    raw = await redis.get(names.order)
    if raw is None:
        raise Refused(
            "GW-ORDER-MISSING", "there is no order for this attempt", why="it has expired, or was never given"
        )
    order = verify_order(raw if isinstance(raw, bytes) else raw.encode(), site.instance_public())
    wanted = (names.task, names.attempt, site.settings.server.instance)
    if (order.task, order.attempt, order.instance) != wanted:
        raise Refused("GW-ORDER-FOREIGN", "the order is for another task, attempt or instance")
    return order
