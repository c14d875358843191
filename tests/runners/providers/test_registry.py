"""From route to provider."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bot.model.errors import GatewrightError, UsageError
from bot.settings import ProviderTable, Settings
from runners.providers.registry import create, explanation, upstream
from bot.model.routing import resolve

SETTINGS = Settings(
    providers={"claude": ProviderTable(api_key="k"), "openai": ProviderTable(auth_token="bearer")},
    endpoints={"vllm": ProviderTable(base_url="http://127.0.0.1:8000/v1"), "bare": ProviderTable()},
)


def route(text):
    return resolve(text, SETTINGS.endpoints)


@pytest.mark.parametrize(
    ("text", "name"),
    [("sonnet", "claude"), ("openai:gpt-5", "openai"), ("o3-mini", "openai"), ("vllm:m", "vllm")],
)
def test_a_route_becomes_a_provider(text, name):
    assert create(route(text), SETTINGS).name == name


@pytest.mark.parametrize("text", ["gpt-5", "gemini-3", "copilot:x", "opencode:a/b", "azure:d", "bedrock:m", "ollama:m"])
def test_a_provider_that_is_not_here_yet_says_so_and_what_to_use(text):
    with pytest.raises(GatewrightError) as raised:
        create(route(text), SETTINGS)
    assert raised.value.code == "GW-MODEL-PROVIDER-MISSING"
    assert "is not available in this version" in raised.value.what
    assert "claude-*, openai:<model>" in raised.value.fix


def test_a_provider_that_is_switched_off_says_by_which_key():
    off = Settings(endpoints={"vllm": ProviderTable(base_url="http://h/v1", enabled=False)})
    with pytest.raises(UsageError) as raised:
        create(resolve("vllm:m", off.endpoints), off)
    assert (raised.value.code, raised.value.why) == ("GW-MODEL-PROVIDER-DISABLED", "endpoints.vllm.enabled is false")


def test_recorded_answers_play_only_where_the_settings_name_a_folder(tmp_path):
    with pytest.raises(UsageError, match="for the demo and for tests"):
        create(route("scripted:demo"), SETTINGS)
    (tmp_path / "demo.json").write_text('{"format": "gatewright-recording/1", "phases": {}}')
    settings = Settings(providers={"scripted": ProviderTable(base_url=str(tmp_path))})
    assert create(route("scripted:demo"), settings).name == "scripted"
    with pytest.raises(UsageError, match="for the demo and for tests"):
        create(route("scripted:../demo"), settings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("opus", ("anthropic", "https://api.anthropic.com", "k", "", "claude")),
        ("openai:x", ("openai", "https://api.openai.com/v1", "", "bearer", "openai")),
        ("vllm:x", ("openai", "http://127.0.0.1:8000/v1", "", "", "vllm")),
    ],
)
def test_the_gateway_is_told_dialect_place_and_key(text, expected):
    found = upstream(route(text), SETTINGS)
    assert (found.dialect, found.base_url, found.api_key, found.auth_token, found.provider) == expected
    assert "bearer" not in repr(found)


@pytest.mark.parametrize(
    ("text", "settings", "code"),
    [
        ("sonnet", Settings(), "GW-MODEL-KEY-MISSING"),
        ("bare:m", SETTINGS, "GW-MODEL-ENDPOINT-URL"),
        ("scripted:x", SETTINGS, "GW-MODEL-NO-UPSTREAM"),
    ],
)
def test_what_is_unset_is_named(text, settings, code):
    with pytest.raises(UsageError) as raised:
        upstream(resolve(text, SETTINGS.endpoints), settings)
    assert raised.value.code == code


def test_resolving_and_describing_a_route_imports_no_sdk_and_no_loop():
    program = (
        "import sys; from runners.providers import registry, routing; "
        "print([m for m in sys.modules if m.split('.')[0] in ('openai', 'httpx2', 'claude_agent_sdk', 'jsonschema')])"
    )
    ran = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_an_explanation_says_where_a_string_goes_and_why():
    assert explanation("sonnet", Settings()) == "sonnet -> Claude Agent SDK (matched sonnet; enterprise-certified)"


@pytest.mark.parametrize("text", ["sonnet", "openai:gpt-5", "vllm:m"])
def test_a_checked_explanation_is_the_same_where_all_is_there(text):
    assert explanation(text, SETTINGS, check=True) == explanation(text, SETTINGS)


@pytest.mark.parametrize(
    ("text", "code"),
    [("sonnet", "GW-MODEL-KEY-MISSING"), ("gemini-3-pro", "GW-MODEL-PROVIDER-MISSING"), ("son", "GW-MODEL-FORM")],
)
def test_a_checked_explanation_fails_as_a_run_would(text, code):
    with pytest.raises(GatewrightError) as caught:
        explanation(text, Settings(), check=True)
    assert caught.value.code == code


LOADED = """
import sys
from bot.settings import ProviderTable, Settings
from runners.providers.registry import preload
settings = Settings(endpoints={"house": ProviderTable(base_url="http://h/v1")})
preload(sys.argv[1:], settings)
print([name for name in ("openai.resources.chat.completions", "claude_agent_sdk") if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("models", "loaded"),
    [
        (("house:m",), ["openai.resources.chat.completions"]),
        (("sonnet",), ["claude_agent_sdk"]),
        (("no such model", "gemini-3", "scripted:story"), []),
        ((), []),
    ],
)
def test_a_process_that_will_fork_loads_what_its_models_need_and_no_more(models, loaded):
    said = subprocess.run([sys.executable, "-P", "-c", LOADED, *models], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(loaded)


def test_a_runtime_that_is_not_installed_is_for_the_attempt_to_report():
    without = "import sys; sys.modules['openai'] = sys.modules['claude_agent_sdk'] = None\n" + LOADED
    said = subprocess.run(
        [sys.executable, "-P", "-c", without, "sonnet", "house:m"], capture_output=True, text=True, check=True
    )
    assert said.stderr == ""
