"""`gatewright policy show` and `explain`, as people and programs read them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import msgspec
import pytest
import redis

from bot.audit import kinds
from bot.audit.chain import Draft, Link, extend, genesis
from bot.audit.record import Who
from bot.model.errors import GatewrightError, UsageError
from bot.model.policy import Policy
from bot.model.ruling import Case, Parts, Vote
from bot.model.state import Gate
from bot.policy.narrow import narrow
from bot.policy.presets import preset
from bot.policy.rules import judge
from bot.settings_file import load
from bot.terminal.policy import explain, show

TASK = "42-k7f3qd"
COMMIT = "4be1f0c2a9d3" + "0" * 28
CONTROL = Who("inst:test", "service", "system")


@pytest.fixture
def config(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of a server whose Redis is the real one of these tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / "gatewright.toml"
    path.write_text(f'[redis]\nurl = "{redis_url}"\n[policy]\ngate_days = 5\n[policy.plan]\nquorum = 2\n')
    return path


def opened(policy: Policy) -> kinds.TaskOpened:
    return kinds.TaskOpened(
        repo="github:github.com:1", forge="github", host="github.com", repo_id=1, path="o/r", issue=42, labeller=1,
        base_branch="main", base_commit="a" * 40, policy_sha256=policy.sha256(), config_sha256="b" * 64,
        bot_version="0", instance="test", vkey="v",
    )  # fmt: skip


def journal(redis_url: str, *data: tuple[str, kinds.Data]) -> None:
    """Put a chained journal where control keeps them."""
    start = Link(-1, genesis("test", "github:github.com:1", TASK))
    drafts = [Draft(kind, each, CONTROL) for kind, each in data]
    lines, _ = extend(start, drafts, task=TASK, now_ms=1_000)
    with redis.Redis.from_url(redis_url) as client:
        client.rpush(f"gw:journal:{TASK}", *lines)


def case(gate: Gate, policy: Policy, *people: int) -> Case:
    from bot.model.event import AccountKind
    from bot.model.role import Role

    votes = tuple(
        Vote(person, f"42:{person}", "d" * 64, "digest", 2_000, AccountKind.HUMAN, Role.WRITE, Role.WRITE,
             is_unchanged=True)
        for person in people
    )  # fmt: skip
    return Case(gate, "decision", 3_000, "d" * 64, "d" * 64, 1_000, policy.sha256(), votes, Parts(1, 1))


def test_the_policy_in_force_is_shown_as_toml_with_the_origin_of_each_value(config, capsys):
    assert show(config, preset_name="", as_json=False) == 0
    said = capsys.readouterr().out
    table = tomllib.loads(said)["policy"]
    assert msgspec.convert(table, Policy) == load(config).policy
    lines = {line.split(" = ")[0]: line for line in said.splitlines() if " = " in line}
    assert lines["gate_days"].endswith("# the settings")
    assert lines["digest"].endswith("# preset team")


@pytest.mark.parametrize("name", ["team", "regulated"])
def test_a_preset_is_shown_whether_or_not_it_is_in_force(config, capsys, name):
    assert show(config, preset_name=name, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["schema"], said["sha256"]) == ("gatewright/policy/v1", preset(name).sha256())
    assert {key["origin"] for key in said["keys"]} == {f"preset {name}"}


def test_an_unknown_preset_is_a_wrong_call(config):
    with pytest.raises(UsageError) as caught:
        show(config, preset_name="relaxed", as_json=False)
    assert caught.value.code == "GW-POLICY-PRESET"


def test_each_rule_is_explained_with_the_file_that_asks_for_it(config, redis_url, capsys):
    server = load(config).policy
    policy = narrow(server, {"plan": {"quorum": 3, "not_by": ["spec"]}}).policy
    rulings = [case(Gate.SPEC, policy, 7), case(Gate.PLAN, policy, 7, 8)]
    journal(
        redis_url, ("task.opened", opened(policy)),
        ("policy.changed", kinds.PolicyChanged(policy.sha256(), policy, server.sha256(), "f" * 64, COMMIT, 12)),
        *(("ruling", kinds.RulingMade(each, judge(policy, each))) for each in rulings),
    )  # fmt: skip
    assert explain(TASK, config, as_json=False) == 0
    said = capsys.readouterr().out
    assert "spec gate: pass, at decision, 1970-01-01 00:00 UTC" in said
    assert "plan gate: fail" in said
    assert "✗ quorum    enough different people said yes: 2 of 3 approvals" in said
    assert "plan.quorum = 3  (.gatewright.toml at 4be1f0c2a9d3, last changed by account 12)" in said
    assert "yes of account 8 (42:8): counts" in said
    assert "change gate: not decided yet" in said
    assert "gate_days = 5  (the settings)" in said


def test_programs_read_the_same_explanation(config, redis_url, capsys):
    policy = load(config).policy
    ruled = case(Gate.PLAN, policy, 7)
    journal(
        redis_url, ("task.opened", opened(policy)),
        ("policy.changed", kinds.PolicyChanged(policy.sha256(), policy, policy.sha256())),
        ("ruling", kinds.RulingMade(ruled, judge(policy, ruled))),
    )  # fmt: skip
    assert explain(TASK, config, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["schema"], said["task"], said["file"]) == ("gatewright/policy-explained/v1", TASK, "")
    plan = {rule["rule"]: rule for rule in said["gates"][1]["rules"]}
    assert (plan["quorum"]["result"], plan["quorum"]["why"]) == ("fail", "1 of 2 approvals")
    assert plan["quorum"]["keys"][0] == {"key": "plan.quorum", "value": 2, "origin": "the settings"}
    assert {rule["result"] for rule in said["gates"][3]["rules"]} == {"not decided yet"}


def test_a_task_that_is_not_known_says_where_to_look(config):
    with pytest.raises(GatewrightError) as caught:
        explain("42-zzzzzz", config, as_json=False)
    assert caught.value.code == "GW-TASK-UNKNOWN"


def test_a_journal_without_a_policy_says_so(config, redis_url):
    journal(redis_url, ("task.opened", opened(Policy())))
    with pytest.raises(GatewrightError) as caught:
        explain(TASK, config, as_json=False)
    assert caught.value.code == "GW-POLICY-UNRECORDED"
