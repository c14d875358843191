"""`gatewright demo`: one issue, three gates, one proven change, on a repository made for it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bot.model.task import State
from bot.terminal.follow import Exit, Follower
from bot.terminal.gates import Decider, Itself, Person
from bot.terminal.offers import offers
from bot.terminal.run import profile, wanted
from bot.terminal.screen import Screen
from bot.terminal.session import Session

SAMPLE: Final = Path(__file__).with_name("sample")
RECORDED: Final = "scripted:demo"
IDENTITY: Final = {"GIT_AUTHOR_NAME": "Gatewright demo", "GIT_AUTHOR_EMAIL": "demo@gatewright.invalid"}


def demo(*, yes: bool, keep: Path | None, model: str, config: Path | None) -> int:
    """Play the whole job, and leave the result where `keep` says."""
    screen = Screen()
    folder = place(keep)
    try:
        return asyncio.run(_demo(screen, folder, yes=yes, model=model, config=config, kept=bool(keep)))
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


async def _demo(screen: Screen, folder: Path, *, yes: bool, model: str, config: Path | None, kept: bool) -> int:
    began = time.monotonic()
    repo = await asyncio.to_thread(sample_repository, folder / "repo")
    title, body = wanted("", SAMPLE / "issue.md")
    greet(screen, folder, model)
    decider = pick(screen, yes=yes)
    async with Session(folder / "data", config, choose(model, folder)) as session:
        if not model:
            session.is_confined = await asyncio.to_thread(can_confine)
            if not session.is_confined:
                screen.say("bubblewrap is not installed here: the recorded answers run WITHOUT a sandbox.")
                screen.say("Real models never do. On Debian and Ubuntu: apt-get install bubblewrap socat\n")
        screen.say(f"  Issue 1  {title}\n")
        task_id = await session.open(repo, title, body)
        code = await Follower(session, screen, decider).follow(task_id)
        task = await session.state(task_id)
        change = await session.diff(task) if task.head else ""
    if task.state is State.DONE:
        if not screen.is_live:
            screen.show(change, is_diff=True)
        report(screen, repo, folder, task.branch, time.monotonic() - began, kept=kept)
        return await asyncio.to_thread(verify, repo, task.branch) if code is Exit.DONE else int(code)
    screen.say(f"The task is {task.state.value}.")
    return int(code)


def greet(screen: Screen, folder: Path, model: str) -> None:
    """Say what is about to happen, and with which model."""
    screen.say("\nGatewright demo: one issue, three gates, one proven change.")
    if model:
        screen.say(f"Model {model}, throw-away repository.")
    else:
        screen.say("No model is used: recorded answers play through the real loop, worktree, tests and journal.")
        for offer in offers():
            screen.say(f"For a real one ({offer.because}): gatewright demo --model {offer.model}")
    screen.say(f"Nothing outside {folder} is touched.\n")


def pick(screen: Screen, *, yes: bool) -> Decider:
    """Ask at a terminal; approve by itself elsewhere, and say so."""
    if screen.is_live and not yes:
        return Person(screen)
    why = "--yes was given" if yes else "there is no terminal to ask at"
    screen.say(f"Every gate is approved by itself: {why}.\n")
    return Itself()


def choose(model: str, folder: Path) -> Mapping[str, str]:
    """Settle model and places as settings."""
    places = {"GATEWRIGHT_WORKER__WORK_DIR": str(folder / "work")}
    if not model:
        return {**places, **profile(RECORDED), "GATEWRIGHT_PROVIDERS__SCRIPTED__BASE_URL": str(SAMPLE)}
    known = next((offer.overrides for offer in offers() if offer.model == model), {})
    return {**places, **profile(model), **known}


def can_confine() -> bool:
    """Tell whether the programs of the jail are here; the worker finds out whether they work."""
    return all(shutil.which(program) for program in ("bwrap", "socat", "setpriv", "prlimit"))


def place(keep: Path | None) -> Path:
    """Make the folder of everything; the jail's own user must be able to pass through it."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        return keep.resolve()
    folder = Path(tempfile.mkdtemp(prefix="gatewright-demo-"))
    folder.chmod(0o711)
    return folder


def sample_repository(path: Path) -> Path:
    """Make the throw-away repository with one commit."""
    shutil.copytree(SAMPLE / "project", path)
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
        **IDENTITY,
        **{k.replace("AUTHOR", "COMMITTER"): v for k, v in IDENTITY.items()},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "A tiny payment client"]):
        subprocess.run(["git", "-C", str(path), *words], check=True, env=env, stdin=subprocess.DEVNULL)
    return path


def report(screen: Screen, repo: Path, folder: Path, branch: str, seconds: float, *, kept: bool) -> None:
    """Say where everything is."""
    screen.say(f"\nDone in {seconds:.1f} s.\n")
    if kept:
        screen.say(f"  Branch    {branch}")
        screen.say(f"  Look      git -C {repo} log -p main..{branch}")
        screen.say(f"  Verify    gatewright audit verify {repo} --rev {branch} --blobs {folder}/data/blobs")
        screen.say(f"  Tamper    git -C {repo} switch {branch}, change one byte under .gatewright/, verify again")
    else:
        screen.say("  Keep it   gatewright demo --keep DIR")
    screen.say('  For real  gatewright run --repo . "what to do"\n')


def verify(repo: Path, branch: str) -> int:
    """Check the evidence the way an auditor would, and print what it proves."""
    from bot.audit.command import verify as check  # noqa: PLC0415 - only at the end

    sys.stdout.flush()
    code = check(repo, rev=branch)
    return Exit.DONE if code == 0 else Exit.FAILED
