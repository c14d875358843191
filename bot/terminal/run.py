"""`gatewright run`, and going on with a local task later."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bot.model.approval import SHOWN
from bot.model.errors import UsageError
from bot.model.task import Gate, State, Task
from bot.settings_file import data_dir, load
from bot.terminal.follow import Exit, Follower
from bot.terminal.gates import Decider, Itself, Nobody, Person
from bot.terminal.offers import Offer, offers
from bot.terminal.screen import Screen
from bot.terminal.session import Session

PHASES: Final = ("SPEC", "PLANNING", "CODING", "QA", "QA_FIXER")


def run(
    *, text: str, repo: Path, issue: Path | None, model: str, yes: bool, approve: list[str], config: Path | None
) -> int:
    """Open a task on a repository of the user's and follow it."""
    title, body = wanted(text, issue)
    screen = Screen()
    overrides = choose(model, config)
    decider = pick(screen, yes=yes, approved=beforehand(approve))
    return asyncio.run(_run(local_data(config), config, overrides, screen, decider, repo.resolve(), (title, body)))


def answer(task: str, words: str, config: Path | None) -> int:
    """Say something to a local task that waits, and follow it from there; no words just go on."""
    screen = Screen()
    decider = pick(screen, yes=False, approved={})
    return asyncio.run(_answer(local_data(config), config, screen, decider, task, words))


async def _run(  # noqa: PLR0917 - what a run is made of
    data: Path,
    config: Path | None,
    overrides: Mapping[str, str],
    screen: Screen,
    decider: Decider,
    repo: Path,
    wish: tuple[str, str],
) -> int:
    async with Session(data, config, overrides) as session:
        task = await session.open(repo, *wish)
        screen.say(f"Task {task} on {repo}. Ctrl-C stops; `gatewright tasks resume {task}` goes on.")
        code = await Follower(session, screen, decider).follow(task)
        return conclude(screen, await session.state(task), code, repo)


async def _answer(data: Path, config: Path | None, screen: Screen, decider: Decider, task_id: str, words: str) -> int:
    async with Session(data, config) as session:
        task = await session.state(task_id)
        if words:
            await session.say(task, f"/gatewright {words}")
            now = await session.state(task_id)
            if now.heard and not now.heard[-1].accepted:
                screen.say(session.text(now.heard[-1].answer) if now.heard[-1].answer else now.heard[-1].code)
                return Exit.FAILED
        code = await Follower(session, screen, decider).follow(task_id)
        return conclude(screen, await session.state(task_id), code, Path(task.origin.repo.path))


def conclude(screen: Screen, task: Task, code: Exit, repo: Path) -> int:
    """Say where the result is, or how to go on."""
    screen.say()
    if code is Exit.WAITS and task.state.gate:
        waiting(screen, task, task.state.gate)
    elif task.state is State.DONE:
        screen.say(f"  Branch    {task.branch}")
        screen.say(f"  Look      git -C {repo} log -p {task.origin.base_branch}..{task.branch}")
        screen.say(f"  Verify    gatewright audit verify {repo} --rev {task.branch}")
    else:
        screen.say(f"  Task {task.origin.task} is {task.state.value}: {task.close_reason or 'see above'}")
    return int(code)


def waiting(screen: Screen, task: Task, gate: Gate) -> None:
    """Say that nobody could be asked, and how to go on."""
    asked = task.asked(gate)
    digest = asked.digest[:SHOWN] if asked else ""
    screen.say(f"error[GW-GATE-NO-TTY]: the {gate.value} waits for approval and nobody can be asked")
    screen.say("  why: standard input is not a terminal and --yes was not given")
    screen.say(f"  fix: approve with  gatewright tasks approve {task.origin.task} {digest}")
    screen.say(f"       or run again with  --approve {gate.value}={digest}")


def wanted(text: str, issue: Path | None) -> tuple[str, str]:
    """Read what is wanted: the first line is the title."""
    if bool(text) == bool(issue):
        raise UsageError("GW-RUN-WHAT", "say what to do", fix='gatewright run --repo . "what to do", or --issue FILE')
    if issue:
        try:
            text = issue.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError("GW-RUN-ISSUE", f"cannot read {issue}", why=str(error)) from None
    title, _, body = text.strip().partition("\n")
    if not title.strip():
        raise UsageError("GW-RUN-WHAT", "say what to do", why="the text is empty")
    return title.lstrip("# ").strip()[:200], body.strip() or title


def beforehand(approve: list[str]) -> dict[str, str]:
    """Read `--approve spec=9f3c21ab77e0`."""
    found = {}
    for each in approve:
        gate, equals, digest = each.partition("=")
        if gate not in {g.value for g in Gate} or not equals or len(digest) < SHOWN:
            raise UsageError("GW-RUN-APPROVE", f"--approve {each} names no gate and digest", fix="spec=9f3c21ab77e0")
        found[gate] = digest
    return found


def pick(screen: Screen, *, yes: bool, approved: dict[str, str]) -> Decider:
    """Choose who decides."""
    if yes:
        return Itself()
    return Person(screen) if screen.is_live and not approved else Nobody(approved)


def choose(model: str, config: Path | None) -> Mapping[str, str]:
    """Settle which models do the work, as settings; never recordings."""
    if model:
        return profile(model)
    settings = load(config)
    if settings.providers or settings.endpoints:
        return {}
    found: tuple[Offer, ...] = offers()
    if found:
        return {**profile(found[0].model), **found[0].overrides}
    raise UsageError(
        "GW-RUN-NO-MODEL",
        "no model is configured",
        why="`run` works with real models only",
        fix="set ANTHROPIC_API_KEY, or name an endpoint: see docs/providers.md; `gatewright demo` needs no model",
    )


def profile(model: str) -> dict[str, str]:
    """Use one model for all phases."""
    return {f"GATEWRIGHT_PROFILE__{phase}": f'"{model}"' for phase in PHASES}


def local_data(config: Path | None) -> Path:
    """Keep local tasks apart from those of a server on the same machine."""
    return data_dir(load(config)) / "local-runs"
