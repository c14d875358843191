from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot import settings as tables
from bot.model.policy import Policy
from bot.model.state import Step
from runners import evidence, renewal
from runners.site import Site
from runners.workspace.git import Git
from tests.bot.audit.samples import TOKENS
from tests.runners.stage import FILES, SUBTRACT, SUBTRACT_TEST, Reports, Stage, git, judged, raised, text, write

WORD = "plain-words-of-the-server"
TOKEN = TOKENS["github classic"]
PLANTED = FILES["calc.py"] + SUBTRACT + f"\n\nX = '{WORD}'\n"
CLEAN = write("calc.py", FILES["calc.py"] + SUBTRACT)
TESTS = write("tests/test_calc.py", FILES["tests/test_calc.py"] + SUBTRACT_TEST)
WAITS = Policy(protected_paths=("calc.py",))
ALLOWED = '[secrets]\nallow = ["calc.py:github-token"]\n'


async def waiting(stage: Stage, *coding: list[dict[str, object]]) -> Reports:
    """Work that waits for people, while the server learns that a word in it is a secret."""
    stage.record(coding=list(coding))
    reports = await stage.perform(stage.order(Step.CODING, policy=WAITS))
    assert reports.end["outcome"] == "ok", reports.explanation()
    stage.take_in(reports)
    stage.site = Site(replace(stage.settings, gitlab=tables.GitLab(token=WORD)), stage.site.slot)
    return reports


def after(stage: Stage, done: Reports, step: Step, **more: object):
    held = {"head": done.end["data"]["commit"], "held_blob": done.ref("work.held", "bundle")}
    return stage.order(step, **({"policy": WAITS, "scope_approved": done.scope()} | held | more))


async def test_a_fix_takes_a_secret_out_of_the_files_and_out_of_what_is_pushed(stage: Stage) -> None:
    coded = await waiting(stage, write("calc.py", PLANTED), TESTS)
    refused = await stage.perform(after(stage, coded, Step.QA))
    assert refused.end["data"]["code"] == "GW-SECRET-FOUND"
    assert "`fix take it out" in refused.explanation()
    stage.record(qa_fixer=[CLEAN])
    words = (stage.blobs.put(b"take it out of calc.py"),)
    fixed = await stage.perform(after(stage, coded, Step.QA_FIXER, feedback=words, policy=Policy()))
    assert fixed.end["outcome"] == "ok", fixed.explanation()
    (asked,) = (ref["commit"] for ref in fixed.of("model.call")[0]["refs"] if ref["name"] == "prompt")
    assert "calc.py line 9: secret" in stage.blobs.get(asked).decode()
    assert stage.branch() == fixed.end["data"]["commit"] == fixed.of("commit.made")[-1]["data"]["commit"]
    assert git(stage.origin, "rev-list", f"{stage.base}..{stage.branch()}").count("\n") == 0
    assert WORD not in git(stage.origin, "log", "-p", "--all", f"{stage.branch()}")
    message = git(stage.origin, "log", "-1", "--format=%B", stage.branch())
    assert "Gatewright-Step: 1,2\n" in message + "\n"
    assert "- Add subtract\n- Test subtract\n" in message
    work = await evidence.work(Git(stage.origin), stage.order(Step.QA), stage.branch())
    assert [(one.step, one.commit) for one in work] == [(1, stage.branch()), (2, stage.branch())]
    assert git(stage.origin, "show", f"{stage.branch()}:tests/test_calc.py").endswith("subtract(5, 3), 2)")


async def test_a_secret_that_only_the_history_holds_needs_no_change_to_the_files(stage: Stage) -> None:
    stepped = write("tests/test_calc.py", FILES["tests/test_calc.py"] + SUBTRACT_TEST)
    stepped = [{"calls": [*CLEAN[0]["calls"], *stepped[0]["calls"]]}, stepped[1]]
    coded = await waiting(stage, write("calc.py", PLANTED), stepped)
    refused = await stage.perform(after(stage, coded, Step.QA))
    assert refused.end["data"]["code"] == "GW-SECRET-FOUND"
    stage.record(qa_fixer=[text("There is nothing to take out."), text("Really.")])
    fixed = await stage.perform(after(stage, coded, Step.QA_FIXER))
    assert fixed.end["outcome"] == "ok", fixed.explanation()
    made = fixed.data("commit.made")
    assert (made["commit"], made["parent"]) == (stage.branch(), stage.base)
    assert made["source_sha256"] == coded.end["data"]["source_sha256"]
    assert fixed.data("commit.intent")["tree"] == made["tree"]
    assert WORD not in git(stage.origin, "log", "-p", "--all")
    stage.take_in(fixed)
    stage.record(qa=[judged("met", "met")])
    judging = stage.order(Step.QA, head=made["commit"], scope_approved=fixed.scope(), policy=WAITS)
    assert (await stage.perform(judging)).data("qa.verdict")["commit"] == made["commit"]


async def test_a_fixer_that_leaves_it_is_told_again_and_pushes_nothing(stage: Stage) -> None:
    coded = await waiting(stage, write("calc.py", PLANTED), TESTS)
    stage.record(qa_fixer=[write("calc.py", PLANTED + "\n"), write("calc.py", PLANTED + "\n\n")])
    left = await stage.perform(after(stage, coded, Step.QA_FIXER))
    assert left.end["data"]["code"] == "GW-PATCH-REFUSED"
    assert "calc.py line 9: secret" in left.explanation()
    assert stage.head() == ""


async def test_people_let_a_place_pass_on_the_default_branch_and_the_push_is_tried_again(redis_url: str) -> None:
    planted = FILES["calc.py"] + SUBTRACT + f"\n\nX = '{TOKEN}'\n"
    with raised(redis_url, {**FILES, ".gatewright.toml": FILES[".gatewright.toml"] + ALLOWED}) as stage:
        stage.record(coding=[write("calc.py", planted), TESTS], qa=[judged("met", "met")])
        coded = await stage.perform(stage.order(Step.CODING, policy=WAITS))
        assert coded.end["outcome"] == "ok", coded.explanation()
        stage.take_in(coded)
        onto_main(stage, FILES[".gatewright.toml"])
        refused = await stage.perform(after(stage, coded, Step.QA))
        assert refused.end["data"]["code"] == "GW-SECRET-FOUND"
        assert "calc.py line 9: github-token" in refused.explanation()
        onto_main(stage, FILES[".gatewright.toml"] + ALLOWED)
        strict = replace(WAITS, exemptions="ignored")
        assert (await stage.perform(after(stage, coded, Step.QA, policy=strict))).end["data"]["code"] == (
            "GW-SECRET-FOUND"
        )
        retried = await stage.perform(after(stage, coded, Step.QA))
        assert retried.end["outcome"] == "ok", retried.explanation()
        assert stage.branch() == coded.end["data"]["commit"] == retried.data("qa.verdict")["commit"]


def onto_main(stage: Stage, content: str) -> None:
    seed = stage.folder / "seed"
    (seed / ".gatewright.toml").write_text(content)
    git(seed, "commit", "-q", "-a", "-m", "What may pass")
    git(seed, "push", "-q", str(stage.origin), "HEAD:refs/heads/main")


@pytest.mark.parametrize(("steps", "said"), [([0, 2, 1, 2], "1,2"), ([3], "3"), ([0], "anew"), ([], "anew")])
def test_one_commit_names_the_steps_it_stands_for(steps: list[int], said: str) -> None:
    assert renewal.label(steps) == said


def test_a_message_repeats_what_there_is_room_for() -> None:
    lines = renewal.body([f"{n} " + "x" * 200 for n in range(renewal.SHOWN + 3)]).splitlines()
    assert len(lines) == renewal.SHOWN + 3
    assert max(map(len, lines)) <= renewal.WIDTH + 2
    assert lines[-1] == "- and 3 more"
