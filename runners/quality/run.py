"""Run a repository's own checks in a jail over a fresh checkout; the exit code is the judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bot.model.evidence import CheckRun
from runners.providers.protocol import Exec, Jail
from runners.quality.detect import Check, Checks
from runners.quality.results import counts, ran_nothing

TAIL: Final = 4_000  # characters of output that a report keeps
OUTPUT: Final = 200_000  # bytes read for the summary line
LONGEST: Final = 900.0  # seconds of one check
TIMED_OUT: Final = 124  # as timeout(1) says it
NO_TESTS: Final = 5  # as pytest, and unittest since Python 3.12, say it
ENV: Final = {"CI": "true", "PYTHONDONTWRITEBYTECODE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


async def run_checks(
    checks: Checks, jail: Jail, *, remaining: Callable[[], float], report: Callable[[CheckRun], None]
) -> tuple[CheckRun, ...]:
    """Run every check, the later ones too when an earlier one fails; what they need has been set up before.

    `remaining` gives the seconds left for the phase.
    """
    env = ENV | checks.env
    runs: list[CheckRun] = []
    for check in checks.checks:
        runs.append(await _run(await _usable(check, jail, env), jail, env, remaining()))
        report(runs[-1])
    return tuple(runs)


async def _usable(check: Check, jail: Jail, env: Mapping[str, str]) -> Check:
    if not check.needs:
        return check
    probe = await jail.run(["sh", "-c", check.needs], timeout=60, env=env)
    return check if probe.exit_code == 0 else Check(check.name, check.otherwise)


async def _run(check: Check, jail: Jail, env: Mapping[str, str], remaining: float) -> CheckRun:
    limit = max(min(LONGEST, remaining), 1.0)
    ended = await jail.run(["sh", "-c", check.command], timeout=limit, max_output=OUTPUT, env=env)
    found = counts(ended.output)
    return CheckRun(
        name=check.name,
        command=check.command,
        exit_code=_judged(ended),
        duration_ms=ended.duration_ms,
        passed=found.passed if found else None,
        failed=found.failed if found else None,
        skipped=found.skipped if found else None,
        tail=ended.output[-TAIL:],
    )


def _judged(ended: Exec) -> int:
    if ended.timed_out:
        return ended.exit_code or TIMED_OUT
    if ended.exit_code == 0 and ran_nothing(ended.output):
        return NO_TESTS
    return ended.exit_code
