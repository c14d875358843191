from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot.audit import kinds
from bot.audit.blobs import Blobs
from bot.audit.chain import Draft, Link, extend
from bot.audit.checks import payloads
from bot.audit.folder import Folder
from bot.audit.keys import InstanceKey
from bot.audit.logcopy import LogCopy
from bot.audit.record import Ref, Who, data_of, decode
from bot.audit.sheet import Entry, Line, Sheet
from bot.audit.verify import Terms
from tests.bot.audit.checks.kit import by
from tests.bot.audit.signed import Log, judged
from tests.bot.audit.story import TASK


def targets(sealed: Any) -> list[str]:
    return sorted({ref.commit for line in sealed.lines for ref in decode(line).refs})


def with_log(sealed: Any, tmp_path: Path, task: str = TASK) -> Terms:
    """An empty store, and a log that says why."""
    sealed.log.add({"kind": "blobs.pruned", "reason": "retention", "targets": targets(sealed), "task": task})
    return msgspec.structs.replace(by(sealed, log=True), blobs=Blobs(tmp_path))


def test_payloads_that_the_log_says_were_deleted_are_redacted(sealed, tmp_path):
    terms = with_log(sealed, tmp_path)

    verdict = judged(sealed.files(), by=terms)

    assert verdict.exit_code == 0, verdict.findings
    count = len(targets(sealed))
    assert any(f"{count} REDACTED, {count} of them by the instance log" in one.text for one in verdict.held)


def test_another_tasks_entry_says_nothing_about_this_one(sealed, tmp_path):
    verdict = judged(sealed.files(), by=with_log(sealed, tmp_path, "1-zzzzzz"))

    assert verdict.exit_code == 2
    assert "no record says that it was redacted" in next(f.what for f in verdict.findings if f.check == "blobs")


@pytest.mark.parametrize("how", ["no trust", "foreign log"])
def test_a_log_that_nobody_trusts_says_nothing(sealed, tmp_path, how):
    terms = with_log(sealed, tmp_path)
    if how == "no trust":
        terms = msgspec.structs.replace(terms, trust=None)
    else:
        foreign = Log(InstanceKey.generate())
        foreign.lines = list(sealed.log.lines)
        copy = foreign.write(tmp_path / "foreign")
        terms = msgspec.structs.replace(terms, log=LogCopy.load(copy))

    verdict = judged(sealed.files(), by=terms)

    assert any(one.check == "blobs" for one in verdict.findings)


@pytest.mark.parametrize("is_right", [True, False])
def test_a_command_is_held_to_the_digest_of_its_record(tmp_path, is_right):
    words, store, sheet = b'["sh","-c","true"]', Blobs(tmp_path), Sheet()
    digest = hashlib.sha256(words if is_right else b"other").hexdigest()
    ref = Ref(commit=store.put(words), name="argv", size=len(words))
    who = Who(id="agent:m", role="author", type="agent")
    draft = Draft("command.run", kinds.CommandRun(1, 1, digest, "none"), who, refs=(ref,))
    (line,), _ = extend(Link(-1, "0" * 64), [draft], task=TASK, now_ms=1)
    record = decode(line)

    payloads.check([Entry(record, data_of(record), Line(line, "x", 1))], Folder(TASK, {}), store, sheet)

    assert [one.what for one in sheet.findings] == ([] if is_right else ["the stored command is not the one recorded"])
