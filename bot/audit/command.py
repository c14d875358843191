"""`gatewright audit verify` and `gatewright audit show`: print, and answer with an exit code."""

from __future__ import annotations

import sys
from pathlib import Path

from bot.audit import place, report
from bot.audit import verify as verifier
from bot.audit.checks import chain
from bot.audit.timeline import timeline
from bot.model.errors import GatewrightError, UsageError


def verify(
    path: str | Path = ".",
    task: str | None = None,
    rev: str | None = None,
    blobs: str | Path | None = None,
    json: bool = False,
) -> int:
    """Print verdicts; answer 0 for L1 without a finding, 1 tampered, 2 incomplete, 3 usage, 4 unreadable."""
    try:
        verdicts = verifier.verify(Path(path), task=task, rev=rev, blobs=Path(blobs) if blobs is not None else None)
    except GatewrightError as error:
        return _refused(error)
    _print(report.as_json(verdicts) if json else report.as_text(verdicts))
    return report.exit_code(verdicts)


def show(path: str | Path = ".", task: str | None = None, rev: str | None = None) -> int:
    """Print journals as timelines up to the first record that cannot be believed; answer as `verify` does."""
    code = 0
    try:
        with place.evidence(Path(path), task, rev) as found:
            for one in found:
                _print(f"Task {one.folder.task} ({one.source})")
                for line in timeline(entry.record for entry in chain.read(one.folder, one.sheet)):
                    _print(line)
                for finding in one.sheet.findings:
                    _print(f"stopped: {report.plain(finding.what)}; see gatewright audit verify")
                    code = 1
    except GatewrightError as error:
        return _refused(error)
    return code


run = verify


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _refused(error: GatewrightError) -> int:
    sys.stderr.write("\n".join(report.plain(line) for line in str(error).splitlines()) + "\n")
    return 3 if isinstance(error, UsageError) else 4
