from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.model.errors import Refused
from bot.model.event import ForgeKind, Repo
from bot.model.team import Team
from bot.settings import Budget, GitLab, Settings, Worker
from bot.tasks.teams import budget_for, check_team, queue_for, team_of

LAB = "gitlab.bank.example"
SHOP = Repo(ForgeKind.GITLAB, LAB, 7, "pay/core/shop")
ELSEWHERE = Repo(ForgeKind.GITHUB, "github.com", 7, "pay/core/shop")


def settings(**teams: Team) -> Settings:
    return Settings(gitlab=GitLab(url=f"https://{LAB}"), worker=Worker(queue="common"), teams=teams)


@pytest.mark.parametrize(
    ("entry", "lab", "hub"),
    [
        ("pay/*", True, True), ("pay/core/shop", True, True), ("Pay/Core/SHOP", True, True), ("*", True, True),
        (f"{LAB}/pay/*", True, False), (f"{LAB}/*", True, False), ("github.com/*", False, True),
        ("gitlab:gitlab.bank.example:7", True, False), ("github:github.com:7", False, True), ("core/*", False, False),
        ("pay", False, False), ("", False, False), (f"{LAB}/pay", False, False),
    ],
)  # fmt: skip
def test_a_project_is_listed_by_path_by_host_or_by_number(entry: str, lab: bool, hub: bool) -> None:
    here = settings(a=Team(projects=(entry,)))
    assert (team_of(here, SHOP) is not None, team_of(here, ELSEWHERE) is not None) == (lab, hub)


def test_a_group_that_bears_the_name_of_a_host_is_not_that_host() -> None:
    """On GitLab a group may be called `github.com`."""
    here = settings(a=Team(projects=("github.com/acme/*",)), b=Team(projects=("*",), queues=("b",)))
    thief = replace(SHOP, path="github.com/acme/shop")
    assert queue_for(here, thief) == "b"
    internal = replace(here, gitlab=GitLab(url="http://gitlab/sub"), teams={"a": Team(projects=("gitlab/pay/*",))})
    assert team_of(internal, replace(ELSEWHERE, path="gitlab/pay/shop")) is None
    assert team_of(internal, replace(SHOP, host="gitlab")) is not None


def test_a_number_goes_before_every_path_and_the_first_team_before_the_next() -> None:
    first, second = Team(projects=("pay/*",), queues=("one",)), Team(projects=("*",), queues=("two",))
    assert queue_for(settings(a=first, b=second), SHOP) == "one"
    moved = Team(projects=(SHOP.key,), queues=("three",))
    assert queue_for(settings(a=first, b=second, c=moved), SHOP) == "three"
    assert queue_for(settings(a=first, b=second, c=moved), replace(SHOP, path="pay/renamed")) == "three"


def test_the_queue_is_the_teams_first_and_without_a_team_the_instances() -> None:
    teams = settings(pay=Team(projects=("pay/*",), queues=("pay", "runner.secure-zone")))
    assert queue_for(teams, SHOP) == "pay"
    assert queue_for(teams, replace(SHOP, path="other/shop")) == "common"
    assert queue_for(settings(), SHOP) == "common"


def test_a_repository_chooses_a_queue_that_its_team_lists_and_no_other() -> None:
    here = settings(
        pay=Team(projects=("pay/*",), queues=("pay", "runner.secure-zone")),
        ops=Team(projects=("ops/*",), queues=("runner.ops", "ops")),
    )
    assert queue_for(here, SHOP, "secure-zone") == "runner.secure-zone"
    for wanted in ("pay", "ops", "runner.secure-zone", "SECURE-ZONE", "secure-zone ", "*", "x" * 500):
        with pytest.raises(Refused) as caught:
            queue_for(here, SHOP, wanted)
        assert caught.value.code == "GW-TEAM-QUEUE"
        assert "pay, runner.secure-zone" in caught.value.why
    for nobody in (here, settings()):
        with pytest.raises(Refused):
            queue_for(nobody, replace(SHOP, path="other/shop"), "secure-zone")


def test_models_are_those_of_the_team() -> None:
    here = settings(pay=Team(projects=("pay/*",), models=("vllm:*", "sonnet")))
    for model in ("vllm:qwen", "sonnet"):
        check_team(here, SHOP, model)
    check_team(here, replace(SHOP, path="other/shop"), "opus")
    check_team(settings(pay=Team(projects=("pay/*",))), SHOP, "opus")
    for model in ("opus", "Sonnet", "sonnet-4", "other:vllm:qwen"):
        with pytest.raises(Refused) as caught:
            check_team(here, SHOP, model)
        assert caught.value.code == "GW-TEAM-MODEL"
        assert "vllm:*, sonnet" in caught.value.why


def test_a_team_lowers_the_budget_and_never_raises_it() -> None:
    here = settings(pay=Team(projects=("pay/*",), phase_minutes=5, qa_rounds=20))
    assert budget_for(here, SHOP) == Budget(phase_minutes=5, qa_rounds=3, turns=100)
    assert budget_for(here, replace(SHOP, path="other/shop")) == Budget()


def test_a_team_may_lower_every_limit_and_no_limit_is_weaker_than_any() -> None:
    lowest = dict.fromkeys(Budget.__struct_fields__, 1)
    here = settings(pay=Team(projects=("pay/*",), **lowest))
    assert budget_for(here, SHOP) == Budget(**lowest)
    higher = {name: limit * 9 for name, limit in lowest.items()}
    assert budget_for(replace(here, teams={"pay": Team(projects=("*",), **higher)}, budget=Budget(**lowest)), SHOP) == (
        Budget(**lowest)
    )
