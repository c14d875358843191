"""The servers that tests/bench/ingest.py compares: `python -m tests.bench.contenders NAME PORT [REDIS_URL]`."""

from __future__ import annotations

import logging
import sys
from typing import Any

SECRET = "benchmark-secret"
HOST = "127.0.0.1"


def raw_uvicorn(port: int, _: str) -> None:
    """The floor of this stack: drain the body, answer 204; nothing is verified, read or stored."""
    import uvicorn

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            while (await receive()).get("more_body"):
                pass
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    uvicorn.run(app, host=HOST, port=port, log_config=None, access_log=False, lifespan="off", ws="none")


def gidgethub_aiohttp(port: int, _: str) -> None:
    """The usual Python bot: gidgethub verifies and parses, its router calls a handler; nothing is stored."""
    from aiohttp import web
    from gidgethub import routing, sansio

    router = routing.Router()

    async def handle(event: sansio.Event) -> None:
        return None

    for name in ("issues", "issue_comment", "pull_request", "pull_request_review"):
        router.register(name)(handle)

    async def receive(request: web.Request) -> web.Response:
        event = sansio.Event.from_http(request.headers, await request.read(), secret=SECRET)
        await router.dispatch(event)
        return web.Response(status=200)

    app = web.Application()
    app.router.add_post("/webhooks/github", receive)
    web.run_app(app, host=HOST, port=port, access_log=None, print=None)


def gatewright(port: int, redis_url: str) -> None:
    """Ours, as `gatewright serve` runs it: verified, read, deduplicated, and on disk before the answer."""
    from bot.app import serve
    from bot.settings import GitHub, Redis, Server, Settings

    logging.basicConfig(level=logging.WARNING)
    serve(
        Settings(
            server=Server(host=HOST, port=port),
            redis=Redis(url=redis_url, inbox_max=1_000_000),
            github=GitHub(webhook_secrets=(SECRET,)),
        )
    )


CONTENDERS = {
    "raw uvicorn, 204": raw_uvicorn,
    "gidgethub on aiohttp, no-op": gidgethub_aiohttp,
    "gatewright, durable": gatewright,
}

if __name__ == "__main__":
    name, port, *rest = sys.argv[1:]
    CONTENDERS[name](int(port), rest[0] if rest else "")
