"""Every kind of record is written by the running system, and somebody tests that."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bot.audit.kinds import KINDS, WORKER_KINDS
from tests.house.code import ROOT, short, sources, tree

# Kind -> who writes it -> the test that sees it written.
WRITTEN = {
    "task.opened": ("bot/tasks/opening.py", "tests/bot/tasks/test_opening.py"),
    "issue.snapshot": ("bot/tasks/opening.py", "tests/bot/tasks/test_opening.py"),
    "issue.changed": ("bot/tasks/lookout.py", "tests/bot/tasks/test_lookout.py"),
    "base.moved": ("bot/tasks/lookout.py", "tests/bot/tasks/test_lookout.py"),
    "shown.edited": ("bot/tasks/lookout.py", "tests/bot/tasks/test_lookout.py"),
    "spec.set": ("runners/phases/spec.py", "tests/runners/phases/test_spec.py"),
    "plan.set": ("runners/phases/planning.py", "tests/runners/phases/test_planning.py"),
    "approval.requested": ("bot/tasks/converge.py", "tests/bot/tasks/test_signing.py"),
    "approval": ("bot/tasks/approving.py", "tests/bot/tasks/test_approving.py"),
    "approval.withdrawn": ("bot/tasks/happenings.py", "tests/bot/tasks/test_native.py"),
    "ruling": ("bot/tasks/deciding.py", "tests/bot/tasks/test_deciding.py"),
    "command": ("bot/tasks/context.py", "tests/bot/tasks/test_selection.py"),
    "profile.set": ("bot/tasks/opening.py", "tests/bot/tasks/test_opening.py"),
    "attempt.started": ("bot/tasks/converge.py", "tests/bot/tasks/test_interleavings.py"),
    "attempt.ended": ("runners/stream.py", "tests/runners/test_stream.py"),
    "model.call": ("runners/gateway/ledger.py", "tests/runners/gateway/test_server.py"),
    "model.result": ("runners/gateway/ledger.py", "tests/runners/gateway/test_server.py"),
    "tool.call": ("runners/loop/calls.py", "tests/runners/loop/test_calls.py"),
    "tool.result": ("runners/loop/calls.py", "tests/runners/loop/test_calls.py"),
    "command.run": ("runners/workspace/recorded.py", "tests/runners/workspace/test_recorded.py"),
    "file.change": ("runners/scoping.py", "tests/runners/phases/test_coding.py"),
    "commit.intent": ("runners/workbench.py", "tests/runners/phases/test_coding.py"),
    "commit.made": ("runners/workbench.py", "tests/runners/test_workbench.py"),
    "test.run": ("runners/phases/qa.py", "tests/runners/phases/test_qa.py"),
    "qa.verdict": ("runners/phases/qa.py", "tests/runners/phases/test_qa.py"),
    "progress": ("runners/phases/coding.py", "tests/runners/phases/test_coding.py"),
    "pushed": ("runners/workbench.py", "tests/runners/test_workbench.py"),
    "scope.found": ("runners/workbench.py", "tests/runners/test_workbench.py"),
    "work.held": ("runners/workbench.py", "tests/runners/test_workbench.py"),
    "commit.foreign": ("bot/tasks/lookout.py", "tests/flow/test_ways_round_github_work.py"),
    "ci.released": ("bot/tasks/approving.py", "tests/flow/test_ways_round_github_work.py"),
    "alarm": ("bot/tasks/happenings.py", "tests/flow/test_ways_round_github_work.py"),
    "gate": ("runners/workbench.py", "tests/runners/test_jails.py"),
    "forge.intent": ("bot/tasks/writes.py", "tests/bot/tasks/test_writes.py"),
    "forge.done": ("bot/tasks/writes.py", "tests/bot/tasks/test_writes.py"),
    "pull": ("bot/tasks/writes.py", "tests/flow/test_github.py"),
    "pause": ("bot/tasks/happenings.py", "tests/bot/tasks/test_holding.py"),
    "anchor": ("bot/tasks/anchors.py", "tests/bot/tasks/test_anchors.py"),
    "policy.changed": ("bot/tasks/rulebook.py", "tests/bot/tasks/test_opening.py"),
    "blob.redacted": ("bot/terminal/redaction.py", "tests/bot/terminal/test_redaction.py"),
    "journal.recovered": ("bot/tasks/recovering.py", "tests/bot/tasks/test_recovering.py"),
    "clock.jump": ("bot/tasks/book.py", "tests/bot/tasks/test_clock.py"),
    "emergency": ("bot/tasks/approving.py", "tests/flow/test_ways_round_github_brakes.py"),
    "emergency.reviewed": ("bot/tasks/reviewing.py", "tests/bot/tasks/test_reviewing.py"),
    "task.blocked": ("bot/tasks/converge.py", "tests/bot/tasks/test_converge.py"),
    "task.closed": ("bot/tasks/converge.py", "tests/flow/test_github.py"),
    "seal": ("bot/tasks/ending.py", "tests/bot/tasks/test_ending.py"),
}
BUILDERS = {"Draft", "record", "_record", "_report"}


def written(path: Path) -> set[str]:
    """List the kinds that a file hands to whatever makes records."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        callee = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        first = node.args[0]
        if callee in BUILDERS and isinstance(first, ast.Constant) and first.value in KINDS:
            found.add(str(first.value))
    return found


def test_the_list_is_whole() -> None:
    assert set(WRITTEN) == set(KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_is_written_where_it_says_and_its_test_names_it(kind: str) -> None:
    place, test = WRITTEN[kind]
    files = {short(path): path for path in sources().values()}
    assert kind in written(files[place]), f"{place} writes no {kind}"
    assert place.startswith("runners/") == (kind in WORKER_KINDS), "control and workers each write their own kinds"
    text = (ROOT / test).read_text()
    cls = KINDS[kind].__name__
    words = (f'"{kind}"', f".{kind.replace('.', '_')}", f'"{kind.replace(".", "_")}"', f"{cls}(", f"kinds.{cls}")
    assert any(word in text for word in words), f"{test} does not look at {kind}"
