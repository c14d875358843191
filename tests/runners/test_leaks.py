from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot import settings as tables
from bot.model.errors import GatewrightError
from bot.model.policy import Policy
from bot.model.state import Step
from runners import leaks
from runners.scope.secrets import Leak
from runners.site import Site
from runners.workspace.git import Git
from tests.bot.audit.samples import TOKENS
from tests.runners.stage import CODED, FILES, SUBTRACT, SUBTRACT_TEST, Stage, git, judged, raised, write

TOKEN = TOKENS["github classic"]
PLANTED = FILES["calc.py"] + SUBTRACT + f"\n\nTOKEN = '{TOKEN}'\n"
CODED_TESTS = write("tests/test_calc.py", FILES["tests/test_calc.py"] + SUBTRACT_TEST)


async def test_a_secret_that_is_taken_away_again_is_in_what_would_be_pushed(stage: Stage) -> None:
    one = stage.push({"a.py": f"x = '{TOKEN}'\n"}, stage.base)
    two = stage.push({"a.py": "x = 1\n"}, one)
    found = await leaks.unpushed(Git(stage.origin), stage.base, two, there="")
    assert found == (Leak("a.py", 1, "github-token"),)
    assert await leaks.unpushed(Git(stage.origin), stage.base, two, there=one) == ()
    assert await leaks.between(Git(stage.origin), stage.base, two) == ()


async def test_a_message_and_a_branch_are_looked_at(stage: Stage) -> None:
    git(
        stage.folder / "seed",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        f"Use {TOKEN}",
    )
    head = git(stage.folder / "seed", "rev-parse", "HEAD")
    (found,) = await leaks.unpushed(Git(stage.folder / "seed" / ".git"), stage.base, head, there="")
    assert found == Leak(f"message of commit {head[:12]}", 0, "github-token")
    assert leaks.named(f"gatewright/{TOKEN}") == (Leak("name of the branch", 0, "github-token"),)
    assert leaks.named("gatewright/42-k7f3qd-subtract") == ()


def test_what_a_repository_lets_pass_is_read_or_refused() -> None:
    raw = b'[secrets]\nallow = ["a:*"]\n'
    assert leaks.allowed(None, Policy()) == ()
    assert leaks.allowed(raw, Policy())[0].glob == "a"
    assert leaks.allowed(raw, Policy(exemptions="ignored")) == ()
    for raw in (b"[secrets", b"[secrets]\nallow = 1\n", b"secrets = 1\n"):
        with pytest.raises(GatewrightError) as caught:
            leaks.allowed(raw, Policy())
        assert caught.value.code == "GW-POLICY-FILE"


def test_a_refusal_lists_places_and_counts_the_rest() -> None:
    error = leaks.refused([Leak(f"f{n}", n, "jwt") for n in range(1, 15)], Policy())
    assert "f1 line 1: jwt; f2" in str(error)
    assert "and 4 more" in str(error)


def test_a_refusal_names_the_ways_that_are_open() -> None:
    found = [Leak("a.py", 3, "jwt")]
    assert "`fix take it out" in leaks.refused(found, Policy()).fix
    assert "then `retry`" in leaks.refused(found, Policy()).fix
    closed = leaks.refused(found, Policy(exemptions="ignored")).fix
    assert "`fix take it out" in closed
    assert "`retry`" not in closed
    assert "`cancel`, change the title" in leaks.refused(leaks.named(f"gatewright/{TOKEN}"), Policy()).fix


async def test_an_agent_is_told_and_a_second_try_without_the_secret_is_pushed(stage: Stage) -> None:
    stage.record(coding=[write("calc.py", PLANTED), *CODED])
    reports = await stage.perform(stage.order(Step.CODING))
    assert reports.end["outcome"] == "ok", reports.explanation()
    assert stage.branch() == reports.end["data"]["commit"]
    assert TOKEN not in git(stage.origin, "log", "-p", "--all")


async def test_a_secret_that_stays_is_never_committed_and_blocks(stage: Stage) -> None:
    stage.record(coding=[write("calc.py", PLANTED), write("calc.py", PLANTED + "\n")])
    reports = await stage.perform(stage.order(Step.CODING))
    assert reports.end["data"]["code"] == "GW-PATCH-REFUSED"
    assert "calc.py line 9: github-token" in reports.explanation()
    assert TOKEN not in reports.explanation()
    assert not reports.of("commit.made")
    assert stage.head() == ""
    assert all(TOKEN.encode() not in path.read_bytes() for path in stage.site.blobs.rglob("*") if path.is_file())


async def test_the_repository_can_let_a_place_pass_from_its_base(redis_url: str) -> None:
    files = {**FILES, ".gatewright.toml": FILES[".gatewright.toml"] + '[secrets]\nallow = ["calc.py:github-token"]\n'}
    with raised(redis_url, files) as stage:
        stage.record(coding=[write("calc.py", PLANTED), CODED_TESTS])
        reports = await stage.perform(stage.order(Step.CODING))
        assert reports.end["outcome"] == "ok", reports.explanation()
        assert stage.branch() == reports.end["data"]["commit"]


async def test_a_commit_that_turns_out_to_hold_a_secret_is_held_and_pushed_nowhere(stage: Stage) -> None:
    """It waited for people, who let it pass, while the server learned what it holds."""
    word = "plain-words-of-the-server"
    stage.record(coding=[write("calc.py", FILES["calc.py"] + SUBTRACT + f"\n\nX = '{word}'\n"), CODED_TESTS])
    policy = Policy(protected_paths=("calc.py",))
    first = await stage.perform(stage.order(Step.CODING, policy=policy))
    assert first.end["outcome"] == "ok", first.explanation()
    assert stage.head() == ""
    settings = replace(stage.settings, gitlab=tables.GitLab(token=word))
    stage.site = Site(settings, stage.site.slot)
    again = {"policy": policy, "head": first.end["data"]["commit"], "held_blob": first.ref("work.held", "bundle")}
    second = await stage.perform(stage.order(Step.CODING, scope_approved=first.scope(), **again))
    assert second.end["data"]["code"] == "GW-SECRET-FOUND"
    assert "calc.py line 9: secret" in second.explanation()
    assert second.explanation().count("GW-SECRET-FOUND") == 1
    assert word not in second.explanation()
    assert second.of("work.held")
    assert stage.head() == ""
    assert word not in git(stage.origin, "log", "-p", "--all")


async def test_what_a_person_pushed_is_asked_about_and_does_not_hold_up_what_comes_after(stage: Stage) -> None:
    stage.record(coding=CODED, qa=[judged("met", "met")])
    coded = await stage.perform(stage.order(Step.CODING))
    stage.take_in(coded)
    head = stage.push({"calc.py": PLANTED}, coded.end["data"]["commit"])
    asked = await stage.perform(stage.order(Step.QA, head=head))
    assert asked.end["outcome"] == "ok", asked.explanation()
    assert not asked.of("qa.verdict")
    (found,) = asked.data("scope.found")["findings"]
    assert (found["rule"], found["path"], found["detail"]) == ("secret", "calc.py", "github-token in line 9")
    assert TOKEN not in repr(asked.entries)
    decided = await stage.perform(stage.order(Step.QA, head=head, scope_approved=asked.scope()))
    assert decided.data("qa.verdict")["commit"] == head
