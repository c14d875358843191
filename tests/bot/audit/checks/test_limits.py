from __future__ import annotations

import pytest

from bot.audit import kinds
from bot.audit.folder import Folder
from bot.audit.place import Found
from bot.audit.sheet import Sheet
from bot.audit.verify import judge
from bot.model.policy import Policy
from tests.bot.audit.story import AGENT, MIRA, START, TASK, Story


def whats(story: Story) -> list[str]:
    journal = b"".join(line + b"\n" for line in story.lines)
    return [f.what for f in judge(Found(Folder(TASK, {"audit/0000.jsonl": journal}), "test", Sheet())).findings]


@pytest.mark.parametrize(
    ("policy", "verb", "role", "fine"),
    [
        (Policy(), "cancel", "write", True),
        (Policy(), "cancel", "triage", False),
        (Policy(), "cancel", "", False),
        (Policy(), "cancel", "owner", False),
        (Policy(min_role="maintain"), "cancel", "write", False),
        (Policy(min_role="maintain"), "status", "read", True),
        (Policy(verb_roles={"resume": "admin"}), "resume", "maintain", False),
        (Policy(verb_roles={"resume": "admin"}), "resume", "admin", True),
        (Policy(verb_roles={"resume": "admin"}), "pause", "write", True),
    ],
)
def test_a_command_needs_the_role_that_policy_asks_for(tmp_path, policy, verb, role, fine):
    story = Story(tmp_path, policy)
    story.opened()
    story.add("command", kinds.Command(verb, "42:1", story.now, accepted=True, permission=role), MIRA)

    assert whats(story) == ([] if fine else [f"`{verb}` was done for somebody whose role is too weak"])


def test_a_refused_command_needs_none(tmp_path):
    story = Story(tmp_path)
    story.opened()
    denied = kinds.Command("cancel", "42:1", story.now, accepted=False, permission="read", code="GW-COMMAND-ROLE")
    story.add("command", denied, MIRA, outcome="denied")

    assert whats(story) == []


def test_a_late_command_had_to_be_asked_for_again(tmp_path):
    story = Story(tmp_path)
    story.opened()
    story.add("command", kinds.Command("cancel", "42:1", START - 20 * 60_000, accepted=True, permission="write"), MIRA)

    assert whats(story) == ["`cancel` was done although it had to be asked for again"]


@pytest.mark.parametrize(("globs", "fine"), [((), True), (("son*",), True), (("bedrock:*", "opus"), False)])
def test_only_allowed_models_are_used(tmp_path, globs, fine):
    story = Story(tmp_path, Policy(allowed_models=globs))
    story.opened()
    story.start("spec")

    assert whats(story) == ([] if fine else ["uses a model that policy does not allow"])


@pytest.mark.parametrize(
    ("fallbacks", "globs", "found"),
    [
        ({"sonnet": ("bedrock:m",)}, (), []),
        ({"sonnet": ("opus",)}, (), ["lets a model stand in that policy does not name for it"]),
        ({"opus": ("bedrock:m",)}, (), ["lets a model stand in that policy does not name for it"]),
        ({"sonnet": ("bedrock:m",)}, ("sonnet",), ["uses a model that policy does not allow"]),
    ],
)
def test_only_a_stand_in_that_policy_names_takes_over(tmp_path, fallbacks, globs, found):
    story = Story(tmp_path, Policy(fallbacks=fallbacks, allowed_models=globs))
    story.opened()
    number = story.start("spec")
    story.add("gate", kinds.GateResult("fallback", "bedrock:m", number), AGENT)

    assert whats(story) == found


@pytest.mark.parametrize(("outsiders", "fine"), [("fence", True), ("refuse", False)])
def test_an_outsiders_issue_is_worked_on_only_where_policy_lets_it(tmp_path, outsiders, fine):
    story = Story(tmp_path, Policy(outsiders=outsiders))
    story.opened()
    lines = story.forge(lambda records: records[1]["data"].update(is_outsider=True))
    story.lines = lines

    assert whats(story) == ([] if fine else ["the issue is by somebody from whom policy takes none"])
