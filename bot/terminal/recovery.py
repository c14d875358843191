"""`gatewright recover`: after a loss of Redis, tasks come back from the evidence in git."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from redis.asyncio import Redis

from bot.audit import layout, place, sources
from bot.audit.place import Found
from bot.audit.record import Who
from bot.audit.sheet import LEVELS, Severity
from bot.audit.trust import Trust
from bot.audit.verify import Terms, judge
from bot.keyring import key_ring
from bot.model.errors import GatewrightError, UsageError
from bot.settings import Settings
from bot.settings_file import data_dir, load
from bot.tasks.clock import now_ms
from bot.tasks.recovering import Came, Recovery
from bot.terminal.stores import Store, ask

NEEDED = {True: 2, False: 1}  # level that a journal must reach, by whether it says who signs it


def recover(repo: str, task: str = "", config: Path | None = None) -> int:
    """Verify the journals of a repository and put back what Redis lacks; answer 1 where a person has to look."""
    settings = load(config)
    trust = own_trust(settings)
    with sources.opened(repo) as source, place.everything(source.path, task or None, None) as found:
        journals = [one.fuller or one for one in found]
        if not journals:
            raise UsageError(
                "GW-RECOVER-NONE", f"no evidence of a task in {repo}", why="no audit ref is there",
                fix="name the repository itself, or run: git fetch origin '+refs/gatewright/*:refs/gatewright/*'",
            )  # fmt: skip
        good = [one for one in journals if _is_fit(one, trust)]

        async def question(store: Store) -> list[tuple[str, Came]]:
            if store.is_local:
                return []
            return [(one.folder.task, await bring(store.redis, one, settings)) for one in good]

        brought = [each for held in ask(config, question) for each in held.answer]
    for name, came in brought:
        sys.stdout.write(f"{name}  {came.value}\n")
    is_calm = all(came in (Came.WHOLE, Came.ENDED, Came.ADOPTED) for _, came in brought)
    return 0 if is_calm and len(good) == len(journals) else 1


async def bring(redis: Redis, found: Found, settings: Settings) -> Came:
    """Put one verified journal back."""
    who = Who(id=f"inst:{settings.server.instance}", role="operator", type="system")
    signed = {name.removeprefix("audit/"): content for name, content in found.folder.files.items()}
    signed = {name: content for name, content in signed.items() if layout.SIGNED.fullmatch(name)}
    lines = [line.content for line in found.folder.lines()]
    return await Recovery(redis, who, now_ms()).bring(lines, signed)


def own_trust(settings: Settings) -> Trust:
    """Trust the keys of this machine's control, and nobody else's."""
    ring = key_ring(data_dir(settings))
    revoked = {key: ring.revoked[str(key)] for key in ring.keys if key not in ring.valid}
    return Trust(settings.server.instance, tuple(ring.valid), {k: v for k, v in revoked.items() if v is not None})


def _is_fit(found: Found, trust: Trust) -> bool:
    """Tell whether a journal may be believed; say why not."""
    faults = list(_faults(found, trust))
    for why in faults:
        sys.stderr.write(f"{found.folder.task}: not recovered: {why}\n")
    return not faults


def _faults(found: Found, trust: Trust) -> Iterator[str]:
    try:
        verdict = judge(found, Terms(trust=trust))
    except GatewrightError as error:
        yield error.what
        return
    yield from (one.what for one in verdict.findings if one.severity is not Severity.INCOMPLETE)
    needed = NEEDED["audit/key.note" in found.folder.files]
    if verdict.level < LEVELS[needed]:  # levels are spelled L0 to L5, so they sort by their spelling
        yield f"it reaches {verdict.level}, and {LEVELS[needed]} is needed"
