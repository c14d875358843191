"""`gatewright demo`: one issue, three gates, one proven change, on a repository made for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bot.endpoints.registry import worker_settings
from bot.forges.local import Place, survey
from bot.model.errors import GatewrightError
from bot.model.state import State
from bot.model.task import Task
from bot.reports.views import Problem
from bot.settings_file import load
from bot.terminal import places, running
from bot.terminal.follow import Exit, Follower
from bot.terminal.gates import Decider, Itself, Person
from bot.terminal.keys import trust_file
from bot.terminal.models import Machine, lend, picked, profile, verify
from bot.terminal.offers import hints, offers
from bot.terminal.run import wanted
from bot.terminal.screen import Screen, span
from bot.terminal.session import Session

SAMPLE: Final = Path(__file__).with_name("sample")
RECORDED: Final = "scripted:demo"
TRUST: Final = "trust.json"
IDENTITY: Final = {"GIT_AUTHOR_NAME": "Gatewright demo", "GIT_AUTHOR_EMAIL": "demo@gatewright.invalid"}
# Turns the round in which QA found a fault into one that passed: what somebody with something to hide would change.
TAMPER: Final = 's/"verdict":"failed"/"verdict":"passed"/'


@dataclass(frozen=True)
class Play:
    """One demo: `folder` holds what may be kept, `work` is where agents work and always goes."""

    screen: Screen
    folder: Path
    work: Path
    is_kept: bool
    model: str  # empty for recorded answers
    named: str  # a profile instead
    config: Path | None
    machine: Machine

    @property
    def repo(self) -> Path:
        """The throw-away repository."""
        return self.folder / "repo"

    def overrides(self) -> Mapping[str, str]:
        """Settle model and places as settings."""
        work = {"GATEWRIGHT_WORKER__WORK_DIR": str(self.work / "work")}
        if self.is_recorded:
            alone = {"GATEWRIGHT_REGISTRY__FILE": str(self.folder / "no-endpoints.json")}  # needs nobody's keys
            return {**work, **alone, **profile(RECORDED), "GATEWRIGHT_PROVIDERS__SCRIPTED__BASE_URL": str(SAMPLE)}
        return {**work, **real(self.model, self.named, self.config)}

    @property
    def is_recorded(self) -> bool:
        """Tell whether recorded answers play."""
        return not (self.model or self.named)


def real(model: str, named: str, config: Path | None) -> dict[str, str]:
    """Settle real models as settings."""
    return {**lend(load(config), offers()), **picked(model, named, load(config))}


def demo(*, yes: bool, keep: Path | None, model: str, config: Path | None, machine: Machine, profile: str = "") -> int:
    """Play the whole job, and leave the result where `keep` says."""
    screen = Screen()
    if model or profile:
        verify(worker_settings(config, {**os.environ, **real(model, profile, config)}), machine)
    kept = places.kept(keep) if keep else None
    work = places.scratch("gatewright-demo-")
    play = Play(screen, kept or work, work, kept is not None, model, profile, config, machine)
    return running.run(_demo(play, yes=yes), lambda: _stop(screen))


async def _demo(play: Play, *, yes: bool) -> int:
    screen, work = play.screen, play.work
    try:
        return await _play(play, yes=yes)
    finally:
        if why := places.remove(work):
            screen.say(f"{work} could not be removed: {why}")


async def _play(play: Play, *, yes: bool) -> int:
    screen = play.screen
    greet(play)
    decider = pick(screen, yes=yes, is_recorded=play.is_recorded)
    await running.through(sample_repository, play.repo)
    place = await survey(play.repo)
    async with Session(play.folder / "data", play.config, play.overrides()) as session:
        await jail(play, session)
        code, task = await _follow(play, session, place, decider)
        settings = session.settings
    if code is Exit.WAITS:
        screen.say("\nThe question was left open, so the demo ends here.")
    elif task.state is State.DONE:
        change = await running.through(checkout, play.repo, task.branch) if play.is_kept else play.repo
        if not await running.through(audit, change, play.folder, trust_file(settings)):
            return Exit.FAILED
        report(play, task, change)
    else:
        screen.say(f"\nYou ended the task: it is {task.state.value}, and main is as it was.")
    return int(code)


async def _follow(play: Play, session: Session, place: Place, decider: Decider) -> tuple[Exit, Task]:
    title, body = wanted("", SAMPLE / "issue.md")
    play.screen.say(f"  Issue 1  {title}\n")
    task_id = await session.open(place, title, body)
    code = await Follower(session, play.screen, decider, lambda _, problem: ways(play, problem)).follow(task_id)
    return code, await session.state(task_id)


def greet(play: Play) -> None:
    """Say what is about to happen, and with which model."""
    screen = play.screen
    screen.say("\nGatewright demo: one issue, three gates, one proven change.")
    if not play.is_recorded:
        what = f"Profile {play.named}" if play.named else f"Model {play.model}"
        screen.say(f"{what} on a throw-away repository.")
    else:
        screen.tell("No model is used: recorded answers play through the real loop, worktree, tests and journal.")
    screen.say(f"Everything is made below {play.folder}{'' if play.is_kept else ', and removed at the end'}.")
    if play.is_recorded:
        for offer in (*offers(), *hints()):
            screen.say(f"For a real model ({offer.because}):")
            for line in filter(None, (offer.lacks, f"gatewright demo --model {offer.model}")):
                screen.say(f"  {line}")
    screen.say()


async def jail(play: Play, session: Session) -> None:
    """Say how agents are confined, before anything runs; the lines of each phase say how they really were."""
    table = session.settings.sandbox
    why = await running.through(play.machine.why_no_jail, table) if table.mode == "bwrap" else "the settings say so"
    if why is None:
        return
    play.screen.tell(
        f"The recorded answers run WITHOUT a sandbox: {why}." if play.is_recorded else f"NO sandbox: {why}."
    )
    play.screen.say("Real models never do, unless the settings take the risk.\n" if play.is_recorded else "")


def pick(screen: Screen, *, yes: bool, is_recorded: bool) -> Decider:
    """Ask at a terminal; approve by itself elsewhere, and say so."""
    if screen.is_live and not yes:
        return Person(screen, is_recorded=is_recorded)
    why = "--yes was given" if yes else "there is no terminal to ask at"
    screen.say(f"Every gate is approved by itself: {why}.\n")
    return Itself("itself (--yes)" if yes else "itself (no terminal)")


def ways(play: Play, problem: Problem) -> str:
    """Say what can be done about a blocked demo, whose parts are gone when it ends."""
    look = f"look into {play.folder}/data/worker.log" if play.is_kept else "gatewright demo --keep DIR leaves all logs"
    return "\n".join(filter(None, (problem.fix, look)))


def sample_repository(path: Path) -> None:
    """Make the throw-away repository with one commit."""
    shutil.copytree(SAMPLE / "project", path)
    _git(path, "init", "-q", "-b", "main")
    _git(path, "add", "-A")
    _git(path, "commit", "-q", "-m", "A tiny payment client")


def checkout(repo: Path, branch: str) -> Path:
    """Lay the result beside the repository, whose own checkout stays as it is."""
    _git(repo, "worktree", "add", "-q", str(repo.with_name("change")), branch)
    return repo.with_name("change")


def _git(path: Path, *words: str) -> None:
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
        **IDENTITY,
        **{k.replace("AUTHOR", "COMMITTER"): v for k, v in IDENTITY.items()},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    try:
        subprocess.run(
            ["git", "-C", str(path), *words], check=True, env=env, stdin=subprocess.DEVNULL, capture_output=True,
            start_new_session=True,
        )  # fmt: skip
    except FileNotFoundError:
        raise GatewrightError("GW-GIT-MISSING", "git is not installed", fix="apt-get install git") from None
    except subprocess.CalledProcessError as error:
        raise GatewrightError(
            "GW-LOCAL-GIT",
            f"git {words[0]} failed in {path}",
            why=error.stderr.decode("utf-8", "replace").strip()[:300],
        ) from None


def report(play: Play, task: Task, change: Path) -> None:
    """Say where everything is, and how to see that tampering shows."""
    screen = play.screen
    worked_ms = sum(attempt.ended_ms - attempt.started_ms for attempt in task.attempts)
    screen.say(f"\nDone in {span(worked_ms)} of work.\n")
    screen.say(f"  Branch    {task.branch}")
    if play.is_kept:
        journal = change / ".gatewright" / "tasks" / task.origin.task / "audit" / "0000.jsonl"
        screen.say(f"  Look      git -C {change} log -p main..")
        given = " \\\n    ".join(
            f"--{name} {play.folder}/{where}"
            for name, where in (("trust", TRUST), ("log", "data/log"), ("blobs", "data/blobs"))
        )
        screen.say(f"  Verify    gatewright audit verify {change} \\\n    {given}")
        screen.say(f"  Tamper    sed -i '{TAMPER}' \\\n    {journal}")
        screen.say("            and verify again: it names the record. Undo it with")
        screen.say(f"            git -C {change} restore .")
    else:
        screen.say("  Keep it   gatewright demo --keep DIR")
    screen.say('  For real  gatewright run --repo . "what to do"\n')


def audit(path: Path, folder: Path, trust: Mapping[str, Any]) -> bool:
    """Check the evidence the way an auditor would, and print what it proves: the result, and so on stdout."""
    from bot.audit.command import verify as check  # noqa: PLC0415 - only at the end

    (folder / TRUST).write_text(json.dumps(trust, indent=2) + "\n", "utf-8")
    sys.stdout.write("\n")
    code = check(path, blobs=folder / "data" / "blobs", trust=folder / TRUST, log=folder / "data" / "log")
    sys.stdout.flush()
    return code == 0


def _stop(screen: Screen) -> None:
    screen.say("Stopping; what was made is removed ...")
