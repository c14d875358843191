"""From route to provider."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bot.model.errors import GatewrightError, UsageError
from bot.model.routing import resolve
from bot.settings import ProviderTable, Settings
from runners.providers.registry import create, explanation

SETTINGS = Settings(
    providers={"claude": ProviderTable(api_key="k"), "openai": ProviderTable(auth_token="bearer")},
    endpoints={"vllm": ProviderTable(base_url="http://127.0.0.1:8000/v1"), "bare": ProviderTable()},
)


def route(text):
    return resolve(text, SETTINGS.endpoints)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("sonnet", "claude"),
        ("bedrock:m", "bedrock"),
        ("gpt-5.5", "codex"),
        ("gemini-3", "gemini"),
        ("copilot:x", "copilot"),
        ("opencode:vllm/x", "opencode"),
        ("openai:gpt-5", "openai"),
        ("o3-mini", "openai"),
        ("azure:d", "azure"),
        ("ollama:m", "ollama"),
        ("vllm:m", "vllm"),
    ],
)
def test_a_route_becomes_a_provider(text, name):
    assert create(route(text), SETTINGS).name == name


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


def test_resolving_and_describing_a_route_imports_no_sdk_and_no_loop():
    program = (
        "import sys; from runners.providers import registry; "
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
    [("sonnet", "GW-MODEL-KEY-MISSING"), ("gemini-3-pro", "GW-MODEL-KEY-MISSING"), ("son", "GW-MODEL-FORM")],
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
