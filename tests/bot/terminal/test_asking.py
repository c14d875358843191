from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from bot.model.event import AccountKind, Actor, ForgeKind, Repo
from bot.model.gates import Approval, Passed, Request, Ruled
from bot.model.policy import Policy
from bot.model.state import Gate, State, Step
from bot.model.task import Attempt, Origin, Profile, Pull, Task
from bot.terminal.asking import Finding, as_text, counted, findings, held, is_asked

DIGEST = "9" * 64
YOU = Actor(2, "you", AccountKind.HUMAN)
ORIGIN = Origin("0-abcdef", Repo(ForgeKind.LOCAL, "localhost", 1, "/x"), 1, YOU, "main", "a" * 40, "b" * 64)
VOTE = Approval(Gate.SPEC, 1, DIGEST, YOU, "admin", 5, "1:7")
TASK = Task(
    ORIGIN, State.SPEC_REVIEW, Profile(), 1, 0, 0, requested=(Request(Gate.SPEC, 1, DIGEST, 0),),
    posted={"gate.spec:1": "3"},
)  # fmt: skip


def ruled(*events: str, passed: bool = False, digest: str = DIGEST, missing: tuple[str, ...] = ("quorum",)) -> Task:
    ruling = Ruled(digest, events, 6, passed, missing=() if passed else missing)
    return replace(TASK, approvals=(VOTE,), ruled={"spec": ruling})


def test_a_question_stands_once_its_comment_is_there() -> None:
    assert is_asked(TASK, Gate.SPEC)
    assert not is_asked(replace(TASK, posted={}), Gate.SPEC)
    assert not is_asked(replace(TASK, requested=()), Gate.SPEC)
    assert not is_asked(replace(TASK, reask=(Gate.SPEC,)), Gate.SPEC), "it is about to be asked anew"


def test_nobody_is_asked_while_their_answer_is_ruled_on() -> None:
    assert not is_asked(replace(TASK, approvals=(VOTE,)), Gate.SPEC)
    assert not is_asked(ruled("1:6"), Gate.SPEC), "another answer was ruled on, not this one"
    assert not is_asked(ruled("1:7", digest="8" * 64), Gate.SPEC)
    assert is_asked(ruled("1:7"), Gate.SPEC)
    passed = replace(ruled("1:7", passed=True), passed=(Passed(Gate.SPEC, DIGEST, 6, (2,)),))
    assert not is_asked(passed, Gate.SPEC)


def test_a_change_is_asked_about_when_it_is_open() -> None:
    task = replace(TASK, state=State.CHANGE_REVIEW, requested=(Request(Gate.CHANGE, 1, DIGEST, 0),))
    assert not is_asked(task, Gate.CHANGE)
    assert is_asked(replace(task, pull=Pull(2, "c" * 40, "b", draft=False, state="open")), Gate.CHANGE)


def test_unmet_rules_are_those_of_the_last_answer_to_what_is_asked_now() -> None:
    assert ruled("1:7").unmet == ("quorum",)
    assert ruled("1:7", passed=True).unmet == ()
    assert ruled("1:7", digest="8" * 64).unmet == ()
    assert ruled().unmet == ()
    assert TASK.unmet == ()


def test_what_holds_a_task_is_named() -> None:
    task = replace(TASK, state=State.CODING)
    assert held(task, 0) == ""
    assert held(replace(task, paused=True), 0) == "it is paused, by a comment"
    both = replace(task, paused=True, brakes=("instance", "label"))
    assert held(both, 0) == "it is paused, by a comment and the instance and the label"
    running = Attempt(1, Step.CODING, 1, "sonnet", 0)
    assert held(replace(both, attempts=(running,)), 0) == "", "it ends its step first"
    assert held(replace(both, state=State.SPEC_REVIEW), 0) == "", "people can still be asked"


@pytest.mark.parametrize(("state", "is_held"), [(State.CODING, True), (State.FIXING, True), (State.PLAN, False)])
def test_a_freeze_holds_code_and_nothing_else(state: State, is_held: bool) -> None:
    task = replace(TASK, state=state, policy=Policy(freeze=("1970-01-01T00:00Z/1970-01-02T00:00Z",)))
    assert bool(held(task, 1_000)) == is_held
    assert held(task, 90_000_000) == ""
    if is_held:
        assert "1970-01-02 00:00 UTC" in held(task, 1_000)


def test_findings_are_shown_as_code_whatever_a_path_is_called() -> None:
    blob = msgspec.json.encode(
        [
            {"rule": "protected", "path": "a` ](http://x)\n# b", "detail": "changed", "sha256": "0"},
            {"rule": "protected", "path": "uv.lock"},
            {"rule": "size", "path": "", "detail": "2,100 lines"},
        ]
    )
    found = findings(blob.decode())
    assert counted(found) == "2 protected, 1 size"
    text = as_text(found)
    assert "- `protected` `a' ](http://x) # b` `changed`\n" in text
    assert text.count("\n- `") == 3
    assert "# b" not in text.splitlines()


def test_long_lists_are_cut_and_counted() -> None:
    text = as_text(tuple(Finding("plan", f"{n}.txt") for n in range(205)))
    assert "and 5 more" in text
    assert text.count("\n- ") == 200


def test_what_is_no_list_of_findings_is_an_error() -> None:
    for blob in ("", "{}", '[{"rule": 1}]'):
        with pytest.raises(msgspec.MsgspecError):
            findings(blob)
