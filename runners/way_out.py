"""The filtering proxy of one attempt, where policy lets hosts be reached at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from runners.egress.proxy import Egress
from runners.egress.rules import Rules
from runners.providers.protocol import Recorder
from runners.site import Site, socket_folder


@asynccontextmanager
async def way_out(site: Site, allowed: Sequence[str], recorder: Recorder, rule: str) -> AsyncIterator[Egress | None]:
    """Open it while the context lasts; None where nothing is allowed. `rule` is what its records are called."""
    if not allowed:
        yield None
        return
    with socket_folder(site) as folder:
        async with Egress(folder, Rules.parse(allowed), recorder, rule=rule, uid=site.user) as egress:
            yield egress
