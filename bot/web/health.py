"""Say whether this process lives, and whether it could keep what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

DURABLE: Final = "durable"


async def healthz(_: Request) -> Response:
    """Answer that the loop turns; no dependency is asked."""
    return JSONResponse({"status": "alive"})


class Readiness:
    """Answer 200 only while Redis is reachable and keeps what it is told on disk."""

    def __init__(self, redis: Redis, *, allow_volatile: bool) -> None:
        self._redis = redis
        self._allow_volatile = allow_volatile

    async def readyz(self, _: Request) -> Response:
        """Ask Redis and answer."""
        state = await self.state()
        is_ready = state == DURABLE or (state == "volatile" and self._allow_volatile)
        answer = {"status": "ready" if is_ready else "not ready", "redis": state}
        return JSONResponse(answer, 200 if is_ready else 503)

    async def state(self) -> str:
        """Tell `durable`, `volatile`, `failing` (it cannot write its file) or `unreachable`."""
        try:
            about = await self._redis.info("persistence")
            if about.get("aof_enabled") or about.get("loading"):
                return appends(about)
            save = (await self._redis.config_get("save")).get("save") or ""
        except (RedisError, OSError):
            # Also where an ACL forbids to ask: what is not known to be durable is not.
            return "unreachable"
        return snapshots(about, save)


def appends(about: Mapping[str, Any]) -> str:
    """Judge a Redis with an append-only file by INFO persistence."""
    if about.get("loading"):
        return "unreachable"
    return DURABLE if about.get("aof_last_write_status") == "ok" else "failing"


def snapshots(about: Mapping[str, Any], save: str) -> str:
    """Judge a Redis without one by its `save` rules and by how the last snapshot went."""
    if not save:
        return "volatile"
    return DURABLE if about.get("rdb_last_bgsave_status") == "ok" else "failing"
