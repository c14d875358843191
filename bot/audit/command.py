"""`gatewright audit verify` and `gatewright audit show`: print, and answer with an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bot.audit import place, population, report, sources
from bot.audit import trust as trusts
from bot.audit import verify as verifier
from bot.audit.checks import chain
from bot.audit.gathering import Where, gathered, told
from bot.audit.sheet import Count, Verdict
from bot.audit.timeline import timeline
from bot.model.errors import GatewrightError, UsageError


def verify(  # noqa: PLR0913 - one for each option of the command line
    path: str | Path = ".",
    *,
    task: str | None = None,
    rev: str | None = None,
    blobs: str | Path | None = None,
    json: bool = False,
    level: str | None = None,
    trust: str | Path | None = None,
    log: str | Path | None = None,
    everything: bool = False,
    since: str | None = None,
) -> int:
    """Print verdicts; answer 0 for the level asked without a finding, 1 tampered, 2 incomplete, 3 usage, 4 unreadable.

    `everything` looks for changes without evidence too, `since` a revision or day.
    """
    try:
        count: Count | None
        verdicts: Sequence[Verdict]
        trusted = trusts.load(Path(trust)) if trust is not None else None
        with sources.opened(str(path)) as source:
            store = Path(blobs) if blobs is not None else source.blobs
            copy = Path(log) if log is not None else source.log if trusted is not None else None
            by = verifier.terms(trusted, copy, _level(level), store)
            if everything or since:
                verdicts, count = population.count(source.path, since, by, task=task or None, rev=rev or None)
            else:
                verdicts, count = verifier.verify(source.path, task=task or None, rev=rev or None, by=by), None
    except GatewrightError as error:
        return refused(error)
    _print(report.as_json(verdicts, count) if json else report.as_text(verdicts, count))
    return report.exit_code(verdicts, count)


def show(
    path: str | Path = ".",
    task: str | None = None,
    rev: str | None = None,
    *,
    html: Path | None = None,
    trust: Path | None = None,
    log: Path | None = None,
) -> int:
    """Print journals as timelines up to the first record that cannot be believed; answer as `verify` does.

    With `html`, write a page that has the verdict too; `trust` and `log` are for that verdict.
    """
    if html is not None:
        return _page(Where(str(path), task or None, rev or None, trust, log), html)
    code, bold = 0, _can_bold()
    try:
        with sources.opened(str(path)) as source, place.evidence(source.path, task or None, rev or None) as all_found:
            for found in all_found:
                one = found.fuller or found
                _print(f"Task {one.folder.task} ({one.source})")
                for line in timeline((entry.record for entry in chain.read(one.folder, one.sheet)), bold=bold):
                    _print(line)
                for finding in one.sheet.findings:
                    _print(f"stopped: {report.plain(finding.what)}; see gatewright audit verify")
                    code = 1
    except GatewrightError as error:
        return refused(error)
    return code


def _page(where: Where, out: Path) -> int:
    try:
        with gathered(where) as (found, by):
            tasks = [told(one, by) for one in found]
        # Loaded here: templates are not for those who verify.
        from bot.audit.page import page  # noqa: PLC0415

        save(out, page(tasks).encode())
    except GatewrightError as error:
        return refused(error)
    _print(f"{out}: {report.tasks(len(tasks))}")
    return report.exit_code([one.verdict for one in tasks])


def save(path: Path, content: bytes) -> None:
    """Write a file; raise GatewrightError where that cannot be."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(
            "GW-AUDIT-OUT", f"{path} cannot be written", why=error.strerror or str(error), fix="name another file"
        ) from error


def _can_bold() -> bool:
    """Tell whether stdout is a terminal that shows bold text, and nobody asked for plain."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def _level(text: str | None) -> int | None:
    if not text:
        return None
    if len(text) != 2 or text[0] not in "Ll" or text[1] not in "012345":
        raise UsageError("GW-AUDIT-LEVEL", f"not a level: {text[:20]!a}", fix="levels are L0, L1, L2, L3, L4 and L5")
    return int(text[1])


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def refused(error: GatewrightError) -> int:
    """Say on stderr why nothing could be judged; answer 3 for the call, 4 for what lies there."""
    sys.stderr.write("\n".join(report.plain(line) for line in str(error).splitlines()) + "\n")
    return 3 if isinstance(error, UsageError) else 4
