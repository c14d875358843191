"""`gatewright doctor`: look at everything that a task needs, and say how to mend what is missing."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import structs

from bot import __version__
from bot.endpoints.registry import equipped
from bot.model.errors import GatewrightError
from bot.settings_file import NOT_KEYS, PREFIX, data_dir, load
from bot.terminal.checks import Finding, Place, Verdict, failed, fine
from bot.terminal.checks_machine import disk, git, keys, sandbox
from bot.terminal.checks_services import github, gitlab, models, network, redis

# The network first: it holds for all that follow.
CHECKS: Final[tuple[Callable[[Place], Iterator[Finding]], ...]] = (
    network, redis, git, sandbox, keys, github, gitlab, models, disk,
)  # fmt: skip


def doctor(config: Path | None, *, as_json: bool, project: str = "", self_test: str = "") -> int:
    """Run all checks and print what they find; return 0 where nothing failed, 1 otherwise."""
    if config is None and (named := os.environ.get("GATEWRIGHT_CONFIG")):
        config = Path(named)
    found: list[Finding] = []
    if not as_json:
        sys.stdout.write(head(config))
    for finding in findings(config, project=project, self_test=self_test):
        found.append(finding)
        if not as_json:
            sys.stdout.write(lines(finding))
            sys.stdout.flush()  # some checks take a while
    code = int(any(each.verdict is Verdict.FAIL for each in found))
    sys.stdout.write(document(found) if as_json else tail(found))
    return code


def findings(config: Path | None, *, project: str = "", self_test: str = "") -> Iterator[Finding]:
    """Check the settings, and with them everything else; without usable settings there is nothing to check."""
    try:
        settings = load(config)
        place = Place(settings, config, data_dir(settings), project, self_test)
    except GatewrightError as error:
        yield failed("settings", error)
        return
    count = sum(name.startswith(PREFIX) and "__" in name and name not in NOT_KEYS for name in os.environ)
    yield fine("settings", f"usable; {count} from the environment")
    try:
        place = structs.replace(place, settings=equipped(settings))
    except GatewrightError as error:
        yield failed("endpoints", error)
    else:
        if more := len(place.settings.endpoints) - len(settings.endpoints):
            yield fine("endpoints", f"{more} registered, and the master key opens their keys")
    for check in CHECKS:
        yield from check(place)


def head(config: Path | None) -> str:
    """Say what is looked at."""
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        system = platform.system()
    where = str(config) if config else "no settings file"
    return f"\nGatewright {__version__}, Python {platform.python_version()}, {system}, {where}\n\n"


def lines(finding: Finding) -> str:
    """Print one finding, what to do below it."""
    printed = f"  {finding.verdict.value:<5} {finding.subject:<11} {finding.words}\n"
    for name, text in (("why", finding.why), ("fix", finding.fix)):
        if text:
            first, *rest = text.splitlines()
            printed += f"        {name:<5} {first}\n" + "".join(f"              {line}\n" for line in rest)
    return printed


def tail(found: list[Finding]) -> str:
    """Count, and say what it means."""
    passed, warned, broken = (sum(each.verdict is verdict for each in found) for verdict in Verdict)
    counted = f"\n{passed} checks passed, {warned} warned, {broken} failed.\n"
    return counted if not broken else counted + "Mend what failed, then run `gatewright doctor` again.\n"


def document(found: list[Finding]) -> str:
    """Print the same for programs."""
    is_well = not any(each.verdict is Verdict.FAIL for each in found)
    checks = [{**msgspec.to_builtins(each), "verdict": each.verdict.value.lower()} for each in found]
    about = {"schema": "gatewright/doctor/v1", "version": __version__, "ok": is_well, "checks": checks}
    return json.dumps(about, indent=2) + "\n"
