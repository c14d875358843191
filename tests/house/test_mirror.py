"""Tests mirror the source: `bot/audit/chain.py` is tested in `tests/bot/audit/test_chain.py`, or it says here where."""

from __future__ import annotations

import pytest

from tests.house.code import ROOT, short, sources

# Nothing but shapes and words: whatever uses them tests them.
SHAPES = {
    "bot/audit/kinds.py", "bot/forges/errors.py", "bot/forges/github_shapes.py", "bot/forges/gitlab_payloads.py",
    "bot/forges/gitlab_shapes.py",
    "bot/forges/protocol.py", "bot/model/access.py",
    "bot/model/command.py", "bot/model/gates.py", "bot/model/ruling.py", "bot/model/section.py",
    "bot/reports/views.py", "bot/settings.py", "runners/gateway/errors.py", "runners/loop/errors.py",
    "runners/loop/protocol.py", "runners/names.py", "runners/phases/protocol.py", "runners/providers/claude_texts.py",
    "runners/providers/errors.py", "runners/providers/protocol.py", "runners/providers/runtime.py",
}  # fmt: skip

# Tested through what it is made for: module -> the tests that fail when it is wrong.
THROUGH = {
    "bot/__main__.py": "tests/bot/test_cli.py",
    "bot/cli_audit.py": "tests/bot/audit/test_errands.py",
    "bot/cli_endpoints.py": "tests/bot/terminal/test_endpoints.py",
    "bot/cli_keys.py": "tests/bot/terminal/test_keys.py",
    "bot/cli_recovery.py": "tests/bot/terminal/test_redaction.py",
    "bot/cli_models.py": "tests/bot/test_cli.py",
    "bot/cli_sandbox.py": "tests/runners/test_tryout.py",
    "runners/gateway/listing.py": "tests/runners/test_checkup.py",
    "runners/providers/installed.py": "tests/runners/test_checkup.py",
    "bot/cli_options.py": "tests/bot/test_cli.py",
    "bot/audit/checks/calls.py": "tests/bot/audit/test_tampering.py",
    "bot/audit/checks/chain.py": "tests/bot/audit/test_tampering.py",
    "bot/audit/checks/documents.py": "tests/bot/audit/test_tampering.py",
    "bot/audit/checks/history.py": "tests/bot/audit/test_tampering.py",
    "bot/audit/checks/payloads.py": "tests/bot/audit/test_tampering.py",
    "bot/audit/checks/work.py": "tests/bot/audit/test_tampering.py",
    "bot/audit/bundle.py": "tests/bot/audit/test_sources.py",
    "bot/audit/facts.py": "tests/bot/audit/test_changes.py",
    "bot/audit/gathering.py": "tests/bot/audit/test_changes.py",
    "bot/audit/folder.py": "tests/bot/audit/test_command.py",
    "bot/audit/logcopy.py": "tests/bot/audit/checks/test_logged.py",
    "bot/audit/matter.py": "tests/bot/audit/checks/test_signatures.py",
    "bot/audit/place.py": "tests/bot/audit/test_command.py",
    "bot/audit/remote.py": "tests/bot/audit/test_sources.py",
    "bot/audit/report.py": "tests/bot/audit/test_command.py",
    "bot/audit/sheet.py": "tests/bot/audit/test_tampering.py",
    "bot/audit/trees.py": "tests/bot/audit/test_command.py",
    "bot/audit/verify.py": "tests/bot/audit/test_command.py",
    "bot/model/document.py": "tests/bot/model/test_spec_document.py",
    "bot/model/documents.py": "tests/bot/model/test_plan_document.py",
    "bot/model/hygiene_edits.py": "tests/bot/model/test_hygiene.py",
    "bot/model/hygiene_layout.py": "tests/bot/model/test_hygiene.py",
    "bot/model/hygiene_markup.py": "tests/bot/model/test_hygiene.py",
    "bot/tasks/anchored.py": "tests/bot/tasks/test_logbook.py",
    "bot/tasks/heads.py": "tests/bot/tasks/test_logbook.py",
    "bot/tasks/need.py": "tests/bot/tasks/test_needs.py",
    "bot/tasks/vetting.py": "tests/bot/tasks/test_logbook.py",
    "bot/tasks/wanted.py": "tests/bot/tasks/test_needs.py",
    "bot/model/role.py": "tests/bot/policy/test_rules.py",
    "bot/model/state.py": "tests/bot/model/test_task.py",
    "bot/tasks/desk.py": "tests/flow/test_github.py",
    "runners/egress/book.py": "tests/runners/egress/test_proxy.py",
    "runners/gateway/anthropic.py": "tests/runners/gateway/test_dialects.py",
    "runners/gateway/dialect.py": "tests/runners/gateway/test_dialects.py",
    "runners/gateway/listener.py": "tests/runners/gateway/test_server.py",
    "runners/gateway/openai.py": "tests/runners/gateway/test_dialects.py",
    "runners/gateway/wire.py": "tests/runners/gateway/test_server.py",
    "runners/providers/codex_items.py": "tests/runners/providers/test_codex.py",
    "runners/providers/command_run.py": "tests/runners/providers/test_command.py",
    "runners/providers/command_texts.py": "tests/runners/providers/test_command.py",
    "runners/workspace/command.py": "tests/runners/test_tryout.py",
    "runners/workspace/kit.py": "tests/runners/workspace/test_rootfs.py",
    "runners/workspace/guest.py": "tests/attacks/test_git.py",
    "runners/workspace/lfs_batch.py": "tests/runners/workspace/test_lfs_objects.py",
    "runners/workspace/shown.py": "tests/runners/workspace/test_content.py",
    "runners/workspace/launch.py": "tests/attacks/test_jail.py",
    "runners/workspace/open.py": "tests/attacks/test_jail.py",
    "runners/workspace/probe.py": "tests/bot/terminal/test_checks_machine.py",
    "runners/workspace/remote.py": "tests/runners/workspace/test_mirror.py",
    "runners/workspace/staging.py": "tests/attacks/test_git.py",
    "runners/workspace/trees.py": "tests/runners/workspace/test_worktree.py",
}


@pytest.mark.parametrize(
    "place", [short(path) for path in sources().values() if path.name != "__init__.py"]
)  # fmt: skip
def test_a_file_has_its_tests(place: str) -> None:
    folder, _, name = place.rpartition("/")
    mirrored = ROOT / "tests" / folder / f"test_{name}"
    assert mirrored.exists() or place in SHAPES or place in THROUGH, f"write {mirrored.relative_to(ROOT)}"


def test_what_is_named_is_there() -> None:
    named = SHAPES | set(THROUGH) | set(THROUGH.values())
    assert [place for place in sorted(named) if not (ROOT / place).exists()] == []
    assert not SHAPES & set(THROUGH)
