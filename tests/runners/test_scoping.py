from __future__ import annotations

import msgspec
from msgspec.structs import replace

from bot.audit.kinds import FileChange, ScopeFound
from bot.model.state import Step
from runners.scope.findings import digest
from runners.scope.view import Finding, Rule
from runners.scoping import FIRST, FIRST_BYTES, first, recordable, scope_of
from runners.workspace.git import Git
from tests.runners.stage import Stage

SHA, COMMIT = "1" * 64, "2" * 40


def test_a_path_too_long_for_a_record_is_named_by_its_beginning_and_digest() -> None:
    long = "/".join(["directory"] * 80)
    assert recordable("calc.py") == "calc.py"
    assert recordable(long) != recordable(long + "x")
    msgspec.convert({"attempt": 1, "path": recordable(long), "op": "add"}, FileChange)


def test_a_record_holds_the_first_findings_and_never_too_much() -> None:
    small = [Finding(Rule.CI, f"f{number}", "why", SHA) for number in range(100)]
    large = [Finding(Rule.CI, "é" * 5_000 + str(number), "x" * 200, SHA) for number in range(100)]
    assert len(first(small)) == FIRST
    assert 0 < len(first(large)) < FIRST
    for found in (small, large):
        rows = first(found)
        assert len(msgspec.json.encode(rows)) <= FIRST_BYTES + 200
        data = {"attempt": 1, "commit": COMMIT, "source_sha256": SHA, "scope_sha256": SHA, "count": 100}
        msgspec.convert({**data, "findings": rows}, ScopeFound)


async def test_the_digest_is_that_of_what_is_stored_without_secrets(stage: Stage) -> None:
    head = stage.push({"other.py": "get('https://s3cret.io')\n"}, stage.base)

    def clean(content: bytes) -> bytes:
        return content.replace(b"s3cret", b"[redacted]")

    order = stage.order(Step.CODING)
    found = await scope_of(Git(stage.origin), stage.blobs, order, head, clean)
    stored = msgspec.json.decode(found.content, type=list[Finding])
    assert [each.rule for each in stored] == [Rule.OUTSIDE_PLAN, Rule.HOST]
    assert b"s3cret" not in found.content
    assert found.data["scope_sha256"] == digest(stored)
    assert not found.is_let_pass
    approved = replace(order, scope_approved=(digest(stored),))
    assert (await scope_of(Git(stage.origin), stage.blobs, approved, head, clean)).is_let_pass
    assert (await scope_of(Git(stage.origin), stage.blobs, order, stage.base, clean)).is_let_pass


async def test_without_a_plan_everything_is_outside_it(stage: Stage) -> None:
    head = stage.push({"calc.py": "x = 1\n"}, stage.base)
    found = await scope_of(Git(stage.origin), stage.blobs, stage.order(Step.SPEC), head, bytes)
    assert found.data["count"] == 1
