"""Which profile a task gets, who may say so, and that it is the one its attempts are ordered with."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.order import verify_order
from bot.audit.record import data_of
from bot.model.event import Actor, ForgeKind, LabelEvent
from bot.model.policy import Policy
from bot.model.task import Profile
from bot.model.team import Team
from bot.settings import NamedProfile, ProviderTable, Settings, Trigger
from bot.tasks.opening import open_task
from bot.tasks.selection import labels_of, recorded
from tests.bot.tasks.forge import MIRA, OTHER_BOT, STRANGER, TOM, MemoryForge
from tests.bot.tasks.office import Office

PROFILES = {"fast": NamedProfile(spec="haiku", coding="haiku"), "deep": NamedProfile(spec="opus")}
FILE = ".gatewright.toml"


async def opens(office: Office, *labels: str, by: Actor = TOM, file: str = "", **settings: Any) -> str | None:
    """Open the task of an issue with these labels beside the one that opens it; `by` set them, Tom set that one."""
    office.desk.settings = Settings(**{"profiles": PROFILES, **settings})
    office.forge.opens(42, "gatewright", *labels)
    if file:
        office.forge.files[FILE] = file.encode()
    event = office.labelled(TOM)
    office.forge.labels += [LabelEvent(label, by, office.clock(), is_set=True) for label in labels]
    return await open_task(office.desk, office.index, event)


async def profile_set(office: Office, task: str | None) -> kinds.ProfileSet:
    assert task is not None, office.log.lines
    [record] = [record for record in await office.records(task) if record.kind == "profile.set"]
    data = data_of(record)
    assert isinstance(data, kinds.ProfileSet)
    return data


async def refused(office: Office, *labels: str, **more: Any) -> tuple[str, str]:
    """See that nothing was opened; return the code and the answer in the thread."""
    assert await opens(office, *labels, **more) is None
    assert await office.index.all_tasks() == []
    [answer] = office.forge.said("opened no task")
    return office.log.codes("label.refused")[-1], answer.body


async def test_a_label_beside_the_trigger_chooses_and_the_order_names_its_model(office: Office):
    policy = Policy(fallbacks={"haiku": ("sonnet", "nonsense"), "opus": ("haiku",)})
    task = await opens(office, "gatewright:fast", policy=policy)
    assert await profile_set(office, task) == recorded(Profile(spec="haiku", coding="haiku"), "fast")
    assert task is not None
    assert (await office.converge(task)).attempts[-1].model == "haiku"
    order = verify_order(await office.redis.get(f"gw:order:{task}:1"), office.desk.key.public)
    assert (order.model, order.fallbacks) == ("haiku", ("sonnet",))


async def test_labels_are_told_apart_without_regard_to_case(office: Office):
    assert (await profile_set(office, await opens(office, "Gatewright:Fast"))).name == "fast"


SOURCES = [
    ((), "", "", ("", "sonnet")),
    ((), "", "deep", ("deep", "opus")),
    ((), 'profile = "fast"\n', "deep", ("fast", "haiku")),
    ((), '[profile]\nspec = "claude-x"\n', "", ("", "claude-x")),
    ((), "[profile]\n", "deep", ("deep", "opus")),
    (("gatewright:deep",), 'profile = "fast"\n', "fast", ("deep", "opus")),
    (("gatewright:deep",), '[profile]\nspec = "claude-x"\n', "", ("deep", "opus")),
    (("gatewright-deep", "fast"), "", "", ("", "sonnet")),
]


@pytest.mark.parametrize(("labels", "file", "default", "found"), SOURCES)
async def test_a_label_wins_over_the_file_and_the_file_over_the_server(
    office: Office, labels: tuple[str, ...], file: str, default: str, found: tuple[str, str]
):
    data = await profile_set(office, await opens(office, *labels, file=file, trigger=Trigger(profile=default)))
    assert (data.name, data.spec) == found


async def test_phases_of_a_file_are_laid_over_the_servers_default(office: Office):
    file = '[profile]\nqa = "opus"\n'
    data = await profile_set(office, await opens(office, file=file, trigger=Trigger(profile="fast")))
    assert (data.spec, data.qa, data.name) == ("haiku", "opus", "")


async def test_two_labels_choose_nothing(office: Office):
    code, answer = await refused(office, "gatewright:fast", "gatewright:deep")
    assert code == "GW-PROFILE-LABELS"
    assert "gatewright:fast, gatewright:deep" in answer


REFUSED = [
    (("gatewright:slow",), "", "GW-PROFILE-UNKNOWN", "there are: deep, fast"),
    ((), 'profile = "slow"\n', "GW-PROFILE-UNKNOWN", "profile in `.gatewright.toml`"),
    ((), "profile = 3\n", "GW-PROFILE-FILE", "neither a name nor a table"),
    ((), '[profile]\nbaking = "opus"\n', "GW-PROFILE-FILE", "baking"),
    ((), '[profile]\nqa = "nonsense"\n', "GW-MODEL-FORM", "nonsense"),
    ((), '[profile]\nqa = "claude-x"\n[policy]\nallowed_models = ["sonnet", "opus"]\n', "GW-MODEL-POLICY", "claude-x"),
    (("gatewright:fast",), '[policy]\nallowed_models = ["sonnet", "opus"]\n', "GW-MODEL-POLICY", "haiku"),
    ((), '[profile]\nqa = "openai:x"\n[policy]\nrequire_tier = "enterprise-certified"\n', "GW-MODEL-TIER", "community"),
]


@pytest.mark.parametrize(("labels", "file", "code", "words"), REFUSED)
async def test_what_cannot_be_had_or_used_opens_nothing_and_says_why(
    office: Office, labels: tuple[str, ...], file: str, code: str, words: str
):
    found, answer = await refused(office, *labels, file=file)
    assert found == code
    assert words.replace("`", "") in answer.replace("`", "").replace("\\", "")


async def test_what_lies_elsewhere_than_policy_asks_opens_nothing(office: Office):
    here = {"providers": {"claude": ProviderTable(residency="us")}, "policy": Policy(residency=("eu",))}
    code, _ = await refused(office, "gatewright:fast", **here)
    assert code == "GW-MODEL-RESIDENCY"


async def test_what_a_team_does_not_have_opens_nothing(office: Office):
    teams = {"pay": Team(projects=("pay/*",), models=("sonnet", "opus"))}
    code, _ = await refused(office, "gatewright:fast", teams=teams)
    assert code == "GW-TEAM-MODEL"


@pytest.mark.parametrize("who", [STRANGER, OTHER_BOT, Actor(404, "nobody")])
async def test_a_label_by_somebody_who_may_not_trigger_does_not_count_and_is_not_passed_over(
    office: Office, who: Actor
):
    code, answer = await refused(office, "gatewright:fast", by=who)
    assert code == "GW-PROFILE-LABEL"
    assert "does not count" in answer


async def test_a_label_that_came_with_the_issue_does_not_count(office: Office):
    made = office.clock()
    office.desk.settings = Settings(profiles=PROFILES)
    office.forge.issues[42] = replace(office.forge.opens(42, "gatewright", "gatewright:fast"), created_ms=made)
    event = office.labelled(TOM)
    office.forge.labels = [
        LabelEvent("gatewright:fast", TOM, made + 100, is_set=True),
        LabelEvent("gatewright", TOM, made + 9_000, is_set=True),
    ]
    assert await open_task(office.desk, office.index, event) is None
    assert office.log.codes("label.refused") == ["GW-PROFILE-LABEL"]


async def test_a_profiles_label_alone_opens_nothing(office: Office):
    office.desk.settings = Settings(profiles=PROFILES)
    office.forge.opens(42, "gatewright:fast")
    assert await open_task(office.desk, office.index, office.labelled()) is None
    assert office.forge.talk == {}


async def test_the_servers_own_default_is_judged_when_an_attempt_is_ordered(office: Office):
    task = await opens(office, file='[policy]\nallowed_models = ["opus"]\n')
    assert task is not None
    assert (await office.converge(task)).blocked_code == "GW-MODEL-POLICY"


def test_the_brakes_label_is_no_profile():
    issue = MemoryForge().opens(42, "gatewright", "gatewright:hold", "gatewright:fast")
    settings = Settings(trigger=Trigger(pause_label="Gatewright:Hold"))
    assert labels_of(settings, issue) == ("gatewright:fast",)


async def test_a_local_task_believes_the_person_at_the_machine(office: Office):
    office.repo = replace(office.repo, forge=ForgeKind.LOCAL)
    office.desk.forges = {("local", office.repo.host): office.forge}
    task = await opens(office, "gatewright:fast", by=STRANGER)
    assert (await profile_set(office, task)).name == "fast"


async def test_a_command_wins_over_what_the_task_was_opened_with(office: Office):
    task = await opens(office, "gatewright:fast")
    assert task is not None
    now = await office.says(task, MIRA, "/model deep")
    assert now.profile == Profile(spec="opus")
    now = await office.says(task, MIRA, "/model coding=claude-x qa=haiku")
    assert now.profile == Profile(spec="opus", coding="claude-x", qa="haiku")
    heard = [data_of(record) for record in await office.records(task) if record.kind == "command"]
    assert [(one.target, one.phase) for one in heard if isinstance(one, kinds.Command)] == [("deep", ""), ("", "")]
