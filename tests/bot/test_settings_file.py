"""Settings out of a file, the environment and files of secrets; what is wrong is named with its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.model.errors import UsageError
from bot.model.policy import GateRule, Policy
from bot.model.task import Profile
from bot.profiles import server_profile
from bot.settings import NamedProfile, Settings
from bot.settings_file import data_dir, load, make_dir


def read(tmp_path: Path, text: str, **env: str) -> Settings:
    path = tmp_path / "gatewright.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, env)


def refused(tmp_path: Path, text: str, **env: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text, **env)
    return caught.value


def test_nothing_said_means_the_defaults():
    assert load(None, {}) == Settings()


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("[trigger]\nlable = 'x'", "trigger.lable", "did you mean 'trigger.label'?"),
        ("[triger]\nlabel = 'x'", "triger", "did you mean 'trigger'?"),
        ("[endpoints.here]\nbaseurl = 'x'", "endpoints.here.baseurl", "did you mean 'endpoints.here.base_url'?"),
        ("[github]\ntoken_fil = 'x'", "github.token_fil", "did you mean 'github.token_file'?"),
        ("[github]\napi_url_file = 'x'", "github.api_url_file", "did you mean 'github.api_url'?"),
        ("[server]\nzzzz = 1", "server.zzzz", "known here: "),
        ("[policy]\ndigests = 'x'", "policy.digests", "did you mean 'policy.digest'?"),
        ("[policy.spec]\nquorums = 2", "policy.spec.quorums", "did you mean 'policy.spec.quorum'?"),
        ("[providers.claude.prices.sonnet]\ninptu = 3.0", "providers.claude.prices.sonnet.inptu", "input"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(tmp_path, text, key, near):
    error = refused(tmp_path, text)
    assert error.code == "GW-SETTINGS-UNKNOWN"
    assert f"'{key}'" in error.what
    assert "gatewright.toml" in error.what
    assert near in error.fix


NAMED = "[profiles.fast]\nfile = 'fast.json'\n[trigger]\nprofile = 'fast'\n"


def test_a_profile_is_read_from_the_json_file_beside_the_settings(tmp_path):
    (tmp_path / "fast.json").write_text('{"phaseModels": {"coding": "ollama:qwen3:14b"}}')
    settings = read(tmp_path, NAMED)
    assert settings.profiles == {"fast": NamedProfile(file="fast.json", coding="ollama:qwen3:14b")}
    assert server_profile(settings) == Profile(coding="ollama:qwen3:14b")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (NAMED, "GW-PROFILE-FILE", "fast.json"),
        (NAMED.replace("fast.json", "odd.json"), "GW-PROFILE-FILE", "the phases are spec, planning, coding, qa"),
        ("[profiles.fast]\nfile = 'odd.json'\nqa = 'opus'\n", "GW-PROFILE-FILE", "says qa as well"),
        ("[profiles.'Fast one']\nqa = 'opus'\n", "GW-PROFILE-NAME", "Fast one"),
        ("[profiles.coding]\nqa = 'opus'\n", "GW-PROFILE-NAME", "no phase"),
        ("[trigger]\nprofile = 'slow'\n[profiles.fast]\nqa = 'opus'\n", "GW-PROFILE-UNKNOWN", "there are: fast"),
    ],
)
def test_a_profile_that_is_none_is_named(tmp_path, text, code, words):
    (tmp_path / "odd.json").write_text('{"phaseModels": {"qaFixer": "opus"}}')
    error = refused(tmp_path, text)
    assert error.code == code
    assert words in str(error)


def test_an_unknown_key_of_the_environment_is_told_apart_from_one_of_the_file(tmp_path):
    error = refused(tmp_path, "", GATEWRIGHT_TRIGGER__LABLE="x")
    assert "the environment" in error.what
    assert "trigger.label" in error.fix


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[server]\nport = 'x'", "server.port"),
        ("[server]\nport = 70000", "server.port"),
        ("server = 3", "server"),
        ("[sandbox]\nmode = 'chroot'", "sandbox.mode"),
        ("[server]\ninstance = 'Große Bank'", "server.instance"),
        ("policy = 3", "policy"),
        ("[policy]\npreset = 'relaxed'", "policy.preset"),
        ("[policy]\nspec = 3", "policy.spec"),
        ("[policy.spec]\nquorum = 0", "policy.spec.quorum"),
        ("[policy.spec]\napprovers = ['anna']", "policy.spec.approvers[0]"),
        ("[policy.verb_roles]\nci = 'read'", "policy.verb_roles[...]"),
        ("[[policy.delegations]]\nperson = 1", "policy.delegations[0]"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(tmp_path, text, key):
    error = refused(tmp_path, text)
    assert error.code == "GW-SETTINGS-VALUE"
    assert error.what.startswith(f"the setting {key} (in ")
    assert error.why


def test_toml_that_is_none_is_named_with_its_line(tmp_path):
    error = refused(tmp_path, "[server]\nport = = 3")
    assert (error.code, "line 2" in error.why) == ("GW-SETTINGS-TOML", True)


@pytest.mark.parametrize("kind", ["missing", "folder", "latin"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, kind):
    path = tmp_path / "x.toml"
    if kind == "folder":
        path.mkdir()
    elif kind == "latin":
        path.write_bytes("[trigger]\nlabel = 'Größe'".encode("latin-1"))
    with pytest.raises(UsageError, match=r"x\.toml"):
        load(path, {})


def test_the_environment_wins_over_the_file(tmp_path):
    found = read(
        tmp_path, "[server]\nport = 1\n[github]\ntoken = 'file'", GATEWRIGHT_SERVER__PORT="2",
        GATEWRIGHT_GITHUB__TOKEN="env", GATEWRIGHT_GITHUB__WEBHOOK_SECRETS='["a", "b"]',
        GATEWRIGHT_ENDPOINTS__HERE__BASE_URL="http://127.0.0.1:9", OTHER__X="1", GATEWRIGHT_CONFIG="ignored here",
    )  # fmt: skip
    assert (found.server.port, found.github.token) == (2, "env")
    assert found.github.webhook_secrets == ("a", "b")
    assert found.endpoints["here"].base_url == "http://127.0.0.1:9"


@pytest.mark.parametrize("text", ["0123", "true", "1e5", "2026-11-21", "[x]", "with = sign", "'quoted'"])
def test_a_text_of_the_environment_stays_a_text(text):
    assert load(None, {"GATEWRIGHT_GITHUB__TOKEN": text}).github.token == text.strip("'")
    assert load(None, {"GATEWRIGHT_PROVIDERS__CLAUDE__API_KEY": text}).providers["claude"].api_key == text.strip("'")


def test_a_key_below_something_that_is_no_table_is_named():
    with pytest.raises(UsageError) as caught:
        load(None, {"GATEWRIGHT_SERVER__PORT": "1", "GATEWRIGHT_SERVER__PORT__DEEP": "1"})
    assert "GATEWRIGHT_SERVER__PORT__DEEP" in caught.value.what


def test_secrets_come_from_files_beside_the_settings(tmp_path):
    (tmp_path / "token").write_text("ghp_1\n")
    (tmp_path / "hooks").write_text("new\n\nold\n")
    (tmp_path / "key").write_text("sk\n")
    found = read(
        tmp_path, "[github]\ntoken_file = 'token'\nwebhook_secrets_file = 'hooks'\n",
        GATEWRIGHT_ENDPOINTS__HERE__API_KEY_FILE=str(tmp_path / "key"),
    )  # fmt: skip
    assert (found.github.token, found.github.webhook_secrets) == ("ghp_1", ("new", "old"))
    assert found.endpoints["here"].api_key == "sk"


def test_of_a_secret_and_its_file_the_environments_wins(tmp_path):
    (tmp_path / "token").write_text("file")
    assert read(tmp_path, "[github]\ntoken_file = 'token'", GATEWRIGHT_GITHUB__TOKEN="env").github.token == "env"
    env = {"GATEWRIGHT_GITHUB__TOKEN_FILE": str(tmp_path / "token")}
    assert read(tmp_path, "[github]\ntoken = 'plain'", **env).github.token == "file"


@pytest.mark.parametrize(
    "text", ["token_file = 'nowhere'", "token_file = 5", "token = 'x'\ntoken_file = 'token'", "token_file = 'binary'"]
)
def test_a_file_of_a_secret_that_cannot_be_followed_is_named(tmp_path, text):
    (tmp_path / "token").write_text("t")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    error = refused(tmp_path, f"[github]\n{text}")
    assert error.code == "GW-SETTINGS-SECRET"
    assert "github.token" in error.what
    assert error.why


def test_no_error_shows_a_secret(tmp_path):
    error = refused(tmp_path, "[github]\ntoken = 'ghp_hidden'\napp_id = 'ghp_hidden'")
    assert "ghp_hidden" not in str(error)


def test_state_lies_where_the_settings_say_else_where_xdg_does(tmp_path):
    assert data_dir(read(tmp_path, "[server]\ndata_dir = '/srv/gw'"), {}) == Path("/srv/gw")
    assert data_dir(Settings(), {"XDG_STATE_HOME": "/x"}) == Path("/x/gatewright")
    assert data_dir(Settings(), {"HOME": "/h"}) == Path("/h/.local/state/gatewright")


def test_a_state_directory_is_private(tmp_path):
    made = make_dir(tmp_path / "state/deep")
    assert made.stat().st_mode & 0o777 == 0o700
    assert make_dir(made) == made


def test_a_place_that_cannot_hold_state_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError) as caught:
        make_dir(tmp_path / "file/state")
    assert (caught.value.code, caught.value.why) == ("GW-DATA-DIR", os.strerror(20))


APPROVERS = "".join(f"[policy.{gate}]\napprovers = ['group:7']\n" for gate in ("spec", "plan", "scope", "change"))
REGULATED = "[policy]\npreset = 'regulated'\n" + APPROVERS


def test_a_preset_fills_in_what_the_policy_does_not_say(tmp_path):
    found = read(tmp_path, "[policy]\npreset = 'regulated'\ngate_days = 3\n" + APPROVERS).policy
    assert (found.gate_days, found.digest, found.ci) == (3, "required", "hold")
    assert found.spec == GateRule(("group:7",), not_by=("labeller", "author", "writer"))
    assert read(tmp_path, "[policy]\npreset = 'team'").policy == Policy()


def test_the_environment_reaches_tables_within_the_policy():
    env = {
        "GATEWRIGHT_POLICY__SPEC__QUORUM": "2", "GATEWRIGHT_POLICY__VERB_ROLES__CI": "maintain",
        "GATEWRIGHT_POLICY__FREEZE": '["Fri 16:00/Mon 08:00 UTC"]', "GATEWRIGHT_POLICY__DIGEST": "required",
    }  # fmt: skip
    found = load(None, env).policy
    assert (found.spec, found.verb_roles) == (GateRule(quorum=2), {"ci": "maintain"})
    assert (found.freeze, found.digest) == (("Fri 16:00/Mon 08:00 UTC",), "required")


def test_a_policy_that_nobody_could_keep_is_refused_with_all_its_faults(tmp_path):
    error = refused(tmp_path, "[policy]\npreset = 'regulated'\nfreeze = ['sometimes']\nfile_ref = 'main'")
    assert error.code == "GW-POLICY-SETTINGS"
    for key in ("spec.approvers", "plan.approvers", "scope.approvers", "change.approvers", "freeze", "file_ref"):
        assert f"policy.{key}" in error.why
    assert "gatewright policy show" in error.fix


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWRIGHT_POLICY__PRESET", "team"),
        ("GATEWRIGHT_POLICY__DIGEST", "optional"),
        ("GATEWRIGHT_POLICY__GATE_DAYS", "1"),
        ("GATEWRIGHT_POLICY__SPEC__APPROVERS", '["user:1"]'),
        ("GATEWRIGHT_SANDBOX__MODE", "none-i-accept-the-risk"),
        ("GATEWRIGHT_WORKSPACE__LFS", "true"),
        ("GATEWRIGHT_AUDIT__AUDIT_REF", "branch"),
    ],
)
def test_what_is_regulated_the_environment_cannot_change(tmp_path, name, value):
    error = refused(tmp_path, REGULATED, **{name: value})
    assert error.code == "GW-SETTINGS-LOCKED"
    assert name in error.what
    read(tmp_path, REGULATED.replace("regulated", "team"), **{name: value})  # there it may


def test_to_ask_for_regulated_is_no_weakening_and_locks_as_well(tmp_path):
    asked = {"GATEWRIGHT_POLICY__PRESET": "regulated"}
    assert read(tmp_path, REGULATED, **asked).policy.preset == "regulated"
    assert read(tmp_path, APPROVERS, **asked).policy.digest == "required"
    locked = refused(tmp_path, APPROVERS, GATEWRIGHT_POLICY__DIGEST="optional", **asked)
    assert (locked.code, "GATEWRIGHT_POLICY__DIGEST" in locked.what) == ("GW-SETTINGS-LOCKED", True)


def test_other_tables_stay_open_to_the_environment_under_regulated(tmp_path):
    assert read(tmp_path, REGULATED, GATEWRIGHT_SERVER__PORT="2", GATEWRIGHT_GITHUB__TOKEN="t").server.port == 2


@pytest.mark.parametrize("name", ["openai", "ollama", "scripted", "codex", "sonnet"])
def test_an_endpoint_that_would_be_taken_for_something_else_is_refused(name):
    with pytest.raises(UsageError) as caught:
        load(env={f"GATEWRIGHT_ENDPOINTS__{name.upper()}__BASE_URL": "http://127.0.0.1:9/v1"})
    assert caught.value.code == "GW-ENDPOINT-NAME"
    assert name in caught.value.what
