"""`gatewright run`, and going on with a local task later."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bot.forges.local import Place, survey
from bot.model.approval import SHOWN
from bot.model.errors import GatewrightError, Refused, UsageError
from bot.model.event import ForgeKind
from bot.model.state import Gate, State
from bot.model.task import Task
from bot.reports.views import Problem
from bot.settings_file import data_dir, load
from bot.terminal import running
from bot.terminal.follow import Exit, Follower
from bot.terminal.gates import Beforehand, Decider, Itself, Person
from bot.terminal.models import Machine, choose, lend
from bot.terminal.offers import offers
from bot.terminal.places import LOCAL, work_dir
from bot.terminal.screen import Screen
from bot.terminal.session import Session
from bot.terminal.stores import Store, ask

TITLE: Final = 200  # characters
OWN_VERBS: Final = ("retry", "cancel")  # that `gatewright tasks` has; all others go through `tasks say`
WORK: Final = (Gate.SCOPE, Gate.CHANGE)
ENDS: Final = {"cancel": State.CANCELLED, "reject": State.REJECTED}


@dataclass(frozen=True)
class Call:
    """One call of `run` or of a verb of `tasks`: where state lies, what is set, who decides."""

    config: Path | None
    screen: Screen
    decider: Decider
    overrides: Mapping[str, str]

    def session(self) -> Session:
        """Start the parts."""
        data = local_data(self.config)
        return Session(data, self.config, {**work_dir(load(self.config)), **self.overrides})

    def follower(self, session: Session) -> Follower:
        """Follow a task of this machine."""
        return Follower(session, self.screen, self.decider, ways)


def run(  # noqa: PLR0913 - the options of the verb
    *,
    text: str,
    repo: Path,
    issue: Path | None,
    model: str,
    yes: bool,
    approve: list[str],
    config: Path | None,
    machine: Machine,
    profile: str = "",
) -> int:
    """Open a task on a repository of the user's and follow it."""
    wish = wanted(text, issue)
    approved = beforehand(approve)
    place = asyncio.run(survey(repo.resolve()))
    overrides, because = choose(model, config, machine, profile)
    screen = Screen()
    call = Call(config, screen, pick(screen, yes=yes, approved=approved), overrides)
    return running.run(_run(call, place, wish, because), on_stop=lambda: _stopping(screen))


def answer(task: str, words: str, config: Path | None) -> int:
    """Say something to a local task, and follow it from there; no words just go on."""
    screen = Screen()
    call = Call(config, screen, pick(screen, yes=False, approved={}), lend(load(config), offers()))
    return running.run(_answer(call, task, words), on_stop=lambda: _stopping(screen))


async def _run(call: Call, place: Place, wish: tuple[str, str], because: str) -> int:
    screen, task = call.screen, ""
    try:
        async with call.session() as session:
            task = await session.open(place, *wish)
            screen.say(f"Task {task} on {place.repo.path}, {place.branch} at {place.commit[:7]}.")
            screen.say(_models(await session.state(task), because))
            screen.say("Your checkout stays as it is; what is not committed in it is not seen.\n")
            code = await call.follower(session).follow(task)
            return await conclude(call, session, task, code)
    except asyncio.CancelledError:
        if task:
            screen.say(f"Nothing is lost:  gatewright tasks resume {task}  goes on.")
        raise


async def _answer(call: Call, task_id: str, words: str) -> int:
    async with call.session() as session:
        if not words:
            await session.let_go(task_id)
        task = await local(session, task_id, call.config)
        if task.state.is_final and words:
            raise GatewrightError(
                "GW-COMMAND-STATE", f"{task_id} has ended: it is {task.state.value}", why="nothing can follow",
                fix='gatewright run --repo . "what to do" opens a new one',
            )  # fmt: skip
        if task.paused and not words:
            words = "resume"
        if words:
            await session.say(task, f"/{spelled(task, words)}")
            now = await session.state(task_id)
            if not now.heard[-1].accepted:
                raise _refused(session, now)
        code = await call.follower(session).follow(task_id, is_new=False)
        if (await session.state(task_id)).state is ENDS.get(words.split(" ")[0]):
            call.screen.say(f"Task {task_id} has ended.")
            return Exit.DONE
        return await conclude(call, session, task_id, code)


async def local(session: Session, task_id: str, config: Path | None) -> Task:
    """Read a task of this machine; Refused where it is one of a forge, whose people decide there and not here."""
    if not await session.control.desk.shelf.journals.head(task_id) and await on_a_forge(task_id, config):
        raise _elsewhere(task_id)
    task = await session.state(task_id)
    if task.origin.repo.forge is not ForgeKind.LOCAL:
        raise _elsewhere(task_id)
    return task


async def on_a_forge(task_id: str, config: Path | None) -> bool:
    """Tell whether the server's Redis knows a task."""

    async def one(store: Store) -> bool:
        return not store.is_local and await store.task(task_id) is not None

    return any(each.answer for each in await running.through(ask, config, one))


def _elsewhere(task_id: str) -> Refused:
    return Refused(
        "GW-LOCAL-ONLY", f"{task_id} is a task of a forge: nobody decides about it on the command line",
        why="who said it, and with which role, is known on the forge alone",
        fix=f"answer in its issue or change; `gatewright pause {task_id}` holds it back",
    )  # fmt: skip


def spelled(task: Task, words: str) -> str:
    """Name the gate where an approval has to: findings are let pass by `approve scope` alone."""
    verb, _, rest = words.partition(" ")
    if verb != "approve" or task.state.gate is not Gate.SCOPE or rest.split()[:1] == ["scope"]:
        return words
    return f"approve scope {rest}".rstrip()


def _refused(session: Session, task: Task) -> GatewrightError:
    heard = task.heard[-1]
    said = session.text(heard.answer) if heard.answer else ""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("<")]
    return GatewrightError(heard.code, f"`{heard.verb}` was refused", why=" ".join(lines))


async def conclude(call: Call, session: Session, task_id: str, code: Exit) -> int:
    """Say where the result is, or how to go on."""
    screen, task = call.screen, await session.state(task_id)
    screen.say()
    repo, base = task.origin.repo.path, task.origin.base_branch
    if code is Exit.WAITS and task.state.gate:
        waiting(call, task, task.state.gate)
    elif code is Exit.WAITS:
        screen.say(f"  Go on     gatewright tasks resume {task_id}")
        screen.say("  Held by   gatewright brakes")
    elif task.state is State.DONE:
        screen.say(f"  Branch    {task.branch}")
        screen.say(f"  Look      git -C {repo} log -p {base}..{task.branch}")
        screen.say(f"  Take it   git -C {repo} merge {task.branch}")
        screen.say(f"  Verify    gatewright audit verify {repo} --rev {task.branch}")
    else:
        end = {State.REJECTED: "was rejected", State.CANCELLED: "was cancelled", State.EXPIRED: "has expired"}
        kept = f"; its branch {task.branch} stays" if task.branch else ""
        screen.tell(f"The task {end.get(task.state, f'is {task.state.value}')}: nothing of it reached {base}{kept}.")
    return int(code)


def waiting(call: Call, task: Task, gate: Gate) -> None:
    """Say that nobody could be asked, and how to go on."""
    asked, is_person = task.asked(gate), call.decider.is_person
    digest = asked.digest[:SHOWN] if asked else ""
    why = "standard input is not a terminal, and neither --yes nor --approve with this digest was given"
    call.screen.say(f"error[GW-GATE-NO-TTY]: the {gate.value} waits for approval and nobody can be asked")
    call.screen.say(f"  why: {'the question was left open' if is_person else why}")
    call.screen.say(f"  fix: gatewright tasks approve {task.origin.task} {digest}")
    call.screen.say(f'       gatewright tasks say {task.origin.task} "{"fix" if gate in WORK else "revise"} ..."')
    call.screen.say(f"       or, in a terminal, gatewright tasks resume {task.origin.task}")


def ways(task: Task, problem: Problem) -> str:
    """Write what can be done about a blocked local task, as commands."""
    lines = [problem.fix] if problem.fix else []
    for way in problem.ways:
        name, words = task.origin.task, f"{way.verb} {way.argument}".strip()
        own = way.verb in OWN_VERBS
        lines.append(f"{way.case}: gatewright tasks " + (f"{way.verb} {name}" if own else f'say {name} "{words}"'))
    return "\n".join(lines)


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
    title = title.lstrip("# ").strip()
    if not title:
        raise UsageError("GW-RUN-WHAT", "say what to do", why="the text is empty")
    return title[:TITLE], body.strip() or title


def beforehand(approve: list[str]) -> dict[str, str]:
    """Read `--approve spec=9f3c21ab77e0`."""
    found = {}
    for each in approve:
        gate, equals, digest = each.partition("=")
        if gate not in {g.value for g in Gate} or not equals or len(digest) < SHOWN:
            gates = ", ".join(g.value for g in Gate)
            raise UsageError(
                "GW-RUN-APPROVE", f"--approve {each} names no gate and digest",
                why=f"gates are {gates}; a digest has {SHOWN} digits or more", fix="--approve spec=9f3c21ab77e0",
            )  # fmt: skip
        found[gate] = digest
    return found


def pick(screen: Screen, *, yes: bool, approved: dict[str, str]) -> Decider:
    """Choose who decides."""
    if yes:
        return Itself()
    person = Person(screen) if screen.is_live else None
    return person if person and not approved else Beforehand(approved, person)


def local_data(config: Path | None) -> Path:
    """Keep local tasks apart from those of a server on the same machine."""
    return data_dir(load(config)) / LOCAL


def _models(task: Task, because: str) -> str:
    profile = task.profile
    names = {"spec": profile.spec, "planning": profile.planning, "coding": profile.coding, "qa": profile.qa}
    if len({*names.values(), profile.qa_fixer}) == 1:
        return f"Model {because or profile.spec}."
    return f"Models: {', '.join(f'{phase} {model}' for phase, model in names.items())}."


def _stopping(screen: Screen) -> None:
    screen.say("Stopping: what is done is kept ...")
