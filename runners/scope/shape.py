"""Rules about how large a change is, of what kind its files are, and what could not be looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from bot.model.policy import Policy
from runners.scope.view import EXECUTABLE, LINK, Finding, Rule, View, about, said


def mode(view: View) -> Iterator[Finding]:
    """See files that can be run from now on, and links."""
    for file in view.files:
        if file.mode == EXECUTABLE and file.old_mode != EXECUTABLE:
            yield about(Rule.MODE, file, "can be executed now")
        elif file.mode == LINK:
            yield about(Rule.MODE, file, f"links to {file.new}")


def size(view: View, policy: Policy) -> Iterator[Finding]:
    """See changes that are more than policy thinks people read."""
    lines, files = sum(file.lines for file in view.files), len(view.files)
    if lines > policy.max_diff_lines or files > policy.max_diff_files:
        detail = f"{lines} lines in {files} files; policy asks above {policy.max_diff_lines} or {policy.max_diff_files}"
        yield Finding(Rule.SIZE, "", said(detail), _everything(view))


def unreadable(view: View) -> Iterator[Finding]:
    """See what no rule could look into."""
    for file in view.files:
        if not file.is_readable and not file.is_gone:
            yield about(Rule.UNREADABLE, file, "binary, not UTF-8, or too large to look at")


def _everything(view: View) -> str:
    """Hash all contents, so that leave for a large change is leave for that one."""
    rows = sorted((file.path, file.mode, file.sha256) for file in view.files)
    return hashlib.sha256(msgspec.json.encode(rows)).hexdigest()
