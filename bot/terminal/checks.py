"""What a check of this machine finds, in one shape."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from bot.model.errors import GatewrightError
from bot.settings import Settings

PATIENCE_S: Final = 60.0
SAID: Final = re.compile(r"^error\[(?P<code>GW-[A-Z0-9-]+)\]: (?P<what>.*)$", re.MULTILINE)


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


class Finding(msgspec.Struct, frozen=True):
    """One line of `gatewright doctor`; why and fix stand where something is not as it should be."""

    verdict: Verdict
    subject: str
    words: str
    why: str = ""
    fix: str = ""


class Place(msgspec.Struct, frozen=True):
    """What is looked at: settings, where they came from, and where state lies."""

    settings: Settings
    config: Path | None
    data: Path
    project: str = ""  # a project on GitLab to look at as well
    self_test: str = ""  # PROJECT#ISSUE on GitLab that may get a note for a moment


class _Error(msgspec.Struct, frozen=True):
    code: str
    what: str
    why: str = ""
    fix: str = ""


class _Document(msgspec.Struct, frozen=True):
    error: _Error


def fine(subject: str, words: str) -> Finding:
    """Note what is as it should be."""
    return Finding(Verdict.OK, subject, words)


def failed(subject: str, error: GatewrightError) -> Finding:
    """Turn an error into a finding; its code stays visible."""
    return Finding(Verdict.FAIL, subject, f"{error.what} [{error.code}]", error.why, error.fix)


def ask(place: Place, words: Sequence[str]) -> tuple[str, GatewrightError | None]:
    """Run a verb of ours as a person would, so that what belongs to runners is judged by runners.

    Returns what it printed, and the error it ended with.
    """
    config = ["--config", str(place.config)] if place.config else []
    argv = [sys.executable, "-P", "-m", "bot", *words[:2], *config, *words[2:]]
    try:
        ended = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return "", GatewrightError("GW-DOCTOR-SLOW", f"no answer within {PATIENCE_S:.0f} s", fix="is the machine busy?")
    if ended.returncode == 0:
        return ended.stdout.strip(), None
    return ended.stdout.strip(), documented(ended.stdout) or understood(ended.stderr, ended.returncode)


def documented(stdout: str) -> GatewrightError | None:
    """Read back an error as `--json` prints it; None where there is none."""
    try:
        said = msgspec.json.decode(stdout, type=_Document).error
    except msgspec.DecodeError:
        return None
    return GatewrightError(said.code, said.what, why=said.why, fix=said.fix)


def understood(stderr: str, code: int) -> GatewrightError:
    """Read back an error as the command line prints it."""
    said = SAID.search(stderr)
    if said is None:
        last = stderr.strip().splitlines()[-1:] or [f"exit code {code}"]
        return GatewrightError("GW-DOCTOR-CRASH", "the check itself ended badly", why=last[0])
    rest = stderr[said.end() :]
    why, _, fix = rest.partition("  fix: ")
    return GatewrightError(said["code"], said["what"], why=why.strip().removeprefix("why: "), fix=fix.strip())
