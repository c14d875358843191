"""`gatewright endpoints ...` as a person uses it: the key is typed or piped, and never seen again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from bot.model.errors import UsageError
from bot.terminal.endpoint_trial import TOOL
from bot.terminal.endpoints import checked_key
from tests.bot.terminal.machine import Ended, Machine, call, waiting
from tests.flow.answers import chat_steps
from tests.simulators.models import Step, Tool

MASTER = Fernet.generate_key().decode()
KEY = "sk-typed-by-a-person"
URL = "https://gpu-1.example/v1"
ADD = ("endpoints", "add", "gpu", URL)


@pytest.fixture
def house(machine: Machine) -> Machine:
    """A machine with a master key in a file."""
    key = machine.folder / "master"
    key.write_text(MASTER)
    key.chmod(0o600)
    machine.settings(server={"data_dir": str(machine.folder / "state")}, registry={"key_file": str(key)})
    return machine


def book(machine: Machine) -> Path:
    return machine.folder / "state" / "endpoints.json"


def piped(machine: Machine, *words: str, key: str = KEY + "\n") -> Ended:
    done = subprocess.run(
        machine.argv(*words), env=machine.env, input=key.encode(), capture_output=True, cwd=machine.folder, timeout=60,
        check=False,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def listed(machine: Machine) -> list[dict[str, str]]:
    about = json.loads(machine.run("endpoints", "list", "--json").out)
    assert about["schema"] == "gatewright/endpoint-list/v1"
    rows: list[dict[str, str]] = about["endpoints"]
    return rows


def test_a_key_is_asked_for_without_echo(house):
    with house.terminal(*ADD) as seat:
        seat.expect("Key of gpu (not shown): ")
        seat.type(KEY + "\n")
        seat.expect("gpu is added")
        assert seat.wait() == 0
        assert KEY not in seat.text
    assert KEY not in book(house).read_text()
    assert (listed(house)[0]["name"], listed(house)[0]["problem"]) == ("gpu", "")


@pytest.mark.parametrize(("keys", "code"), [("\n", 2), ("\x04", 2), ("\x03", 130)])
def test_no_key_no_endpoint(house, keys, code):
    with house.terminal(*ADD) as seat:
        seat.expect("not shown")
        seat.type(keys)
        assert seat.wait() == code
        assert "Traceback" not in seat.text
    assert listed(house) == []


def test_a_key_is_read_from_a_pipe_and_shown_by_its_fingerprint_only(house):
    ended = piped(house, *ADD)
    assert ended.code == 0, ended.err
    (row,) = listed(house)
    assert row["fingerprint"] in ended.out
    assert (len(row["fingerprint"]), row["base_url"]) == (16, URL)
    said = house.run("endpoints", "list")
    assert f"gpu  {URL}  {row['fingerprint']}  {row['added']}\n" == said.out
    assert KEY not in ended.out + ended.err + said.out + house.run("config", "show").out
    assert book(house).stat().st_mode & 0o777 == 0o600


def test_adding_again_replaces_url_and_key(house):
    piped(house, *ADD)
    before = listed(house)[0]
    ended = piped(house, "endpoints", "add", "gpu", "https://gpu-2.example/v1/", key="sk-other")
    assert "gpu is replaced" in ended.out
    (row,) = listed(house)
    assert row["base_url"] == "https://gpu-2.example/v1"
    assert row["fingerprint"] != before["fingerprint"]


@pytest.mark.parametrize(
    ("words", "key", "code"),
    [
        (("openai", URL), KEY, "NAME"),
        (("opencode", URL), KEY, "NAME"),
        (("scripted", URL), KEY, "NAME"),
        (("sonnet", URL), KEY, "NAME"),
        (("codex", URL), KEY, "NAME"),
        (("gpu", URL, "--preset", "grok"), KEY, "PRESET"),
        (("gpu", "--preset", "groq"), "", "KEY"),
        (("gpu",), KEY, "URL"),
        (("a\x1b[2Jb", URL), KEY, "NAME"),
        (("gpu", "http://gpu-1.example/v1"), KEY, "CLEAR"),
        (("gpu", "gpu-1.example"), KEY, "URL"),
        (("gpu", URL), "", "KEY"),
        (("gpu", URL), "two\nlines", "KEY"),
    ],
)
def test_what_cannot_be_registered_is_refused_before_anything_is_written(house, words, key, code):
    ended = piped(house, "endpoints", "add", *words, key=key)
    assert ended.code == 2
    assert f"error[GW-ENDPOINT-{code}]" in ended.err
    assert ended.err.replace("\n", "").isprintable()
    assert not key or key not in ended.err
    assert not book(house).exists()


@pytest.mark.parametrize("key", ["", "with space", "\x1b[2J", "sk-\u202ex", "k" * 8_193, "a\0b"])
def test_what_cannot_stand_in_a_header_is_no_key(key):
    with pytest.raises(UsageError) as caught:
        checked_key(key)
    assert not key or key not in f"{caught.value.what}{caught.value.why}"
    assert checked_key(KEY) == KEY


def test_clear_text_to_another_machine_goes_where_it_is_asked_for(house):
    assert piped(house, "endpoints", "add", "gpu", "http://gpu-1.example/v1", "--insecure").code == 0


def test_a_preset_knows_where_a_server_is_and_whether_it_wants_a_key(house):
    added = piped(house, "endpoints", "add", "fast", "--preset", "groq")
    assert added.code == 0, added.err
    local = piped(house, "endpoints", "add", "box", "http://127.0.0.1:8001/v1", "--preset", "vllm", key="")
    assert local.code == 0, local.err
    where = {row["name"]: row["base_url"] for row in listed(house)}
    assert where == {"fast": "https://api.groq.com/openai/v1", "box": "http://127.0.0.1:8001/v1"}
    with house.terminal("endpoints", "add", "box", "--preset", "vllm") as seat:
        seat.expect("Key of box (not shown; empty for none): ")
        seat.type("\n")
        seat.expect("box is replaced: http://127.0.0.1:8000/v1")
        assert seat.wait() == 0


def test_presets_are_listed(house):
    said = house.run("endpoints", "presets")
    assert (said.code, "https://openrouter.ai/api/v1" in said.out) == (0, True)
    about = json.loads(house.run("endpoints", "presets", "--json").out)
    assert about["schema"] == "gatewright/endpoint-presets/v1"
    assert about["presets"]["vllm"]["needs_key"] is False


def test_without_a_master_key_nobody_is_asked_for_a_key(machine):
    with machine.terminal(*ADD) as seat:
        seat.expect("GW-ENDPOINT-MASTER")
        assert seat.wait() == 2
        assert "Key of" not in seat.text


def test_a_name_of_the_settings_is_refused_and_a_worker_never_guesses(house):
    piped(house, *ADD)
    env = {"GATEWRIGHT_ENDPOINTS__GPU__BASE_URL": "http://127.0.0.1:9/v1"}
    for words in (("models", "resolve", "gpu:m"), ("work", "--burst"), ADD):
        ended = house.run(*words, env=env)
        assert (ended.code, "error[GW-ENDPOINT-CLASH]" in ended.err) == (2, True), ended.err
    assert house.run("endpoints", "list", env=env).code == 1
    assert house.run("endpoints", "remove", "gpu", env=env).code == 0


def test_an_edited_url_is_found_by_list_doctor_and_worker(house):
    piped(house, *ADD)
    book(house).write_text(book(house).read_text().replace("gpu-1", "evil-1"))
    shown = house.run("endpoints", "list")
    assert (shown.code, "GW-ENDPOINT-MOVED" in shown.out) == (1, True)
    for words in (
        ("up",),
        ("work", "--burst"),
        ("endpoints", "test", "gpu"),
        ("models", "resolve", "gpu:m", "--check"),
    ):
        ended = house.run(*words)
        assert (ended.code, "error[GW-ENDPOINT-MOVED]" in ended.err) == (1, True), ended.err
        assert "add gpu URL" in ended.err
    doctor = json.loads(house.run("doctor", "--json").out)
    assert any(each["subject"] == "endpoints" and each["verdict"] == "fail" for each in doctor["checks"])


def test_doctor_and_models_know_what_is_registered(house):
    piped(house, *ADD)
    env = {"GATEWRIGHT_PROFILE__CODING": "gpu:qwen3"}
    resolved = house.run("models", "resolve", "gpu:qwen3", "--check")
    assert (resolved.code, "`gpu`" in resolved.out) == (0, True), resolved.err
    checks = json.loads(house.run("doctor", "--json", env=env).out)["checks"]
    said = {each["subject"] + " " + each["words"]: each["verdict"] for each in checks}
    assert said["endpoints 1 registered, and the master key opens their keys"] == "ok"
    assert said["models gpu:qwen3: address and key are set (endpoints.gpu)"] == "ok"
    assert any(words.startswith("models gpu:qwen3: gpu cannot be reached") for words in said)


def test_another_master_key_opens_nothing_and_changes_nothing(house):
    piped(house, *ADD)
    before = book(house).read_bytes()
    Path(house.folder / "master").write_text(Fernet.generate_key().decode())
    for words in (("endpoints", "list"), ("endpoints", "rotate"), ("endpoints", "test", "gpu")):
        ended = house.run(*words)
        assert (ended.code, "GW-ENDPOINT-SEAL" in ended.err) == (1, True)
    assert book(house).read_bytes() == before


def test_rotation_leaves_the_old_master_key_without_use(house):
    piped(house, *ADD)
    new = Fernet.generate_key().decode()
    master = house.folder / "master"
    master.write_text(f"{new}\n{MASTER}\n")
    added = listed(house)[0]["added"]
    rotated = house.run("endpoints", "rotate")
    assert (rotated.code, rotated.out[:1]) == (0, "1")
    master.write_text(new)
    assert [(row["problem"], row["added"]) for row in listed(house)] == [("", added)]
    master.write_text(MASTER)
    assert listed(house)[0]["problem"] == "GW-ENDPOINT-SEAL"


def test_what_is_removed_is_gone_and_an_unknown_name_is_named(house):
    piped(house, *ADD)
    assert house.run("endpoints", "remove", "gpu").code == 0
    assert house.run("endpoints", "list").out.startswith("No endpoint is registered")
    for verb in ("remove", "test"):
        ended = house.run("endpoints", verb, "gpu")
        assert (ended.code, "error[GW-ENDPOINT-UNKNOWN]" in ended.err) == (2, True)


@pytest.mark.parametrize(("mode", "content"), [(0o644, None), (0o600, "{")])
def test_a_file_that_is_torn_or_open_to_others_is_never_written_over(house, mode, content):
    piped(house, *ADD)
    if content:
        book(house).write_text(content)
    book(house).chmod(mode)
    before = book(house).read_bytes()
    for words in (ADD, ("endpoints", "remove", "gpu"), ("endpoints", "rotate"), ("endpoints", "list")):
        ended = piped(house, *words)
        assert (ended.code, "error[GW-ENDPOINT-" in ended.err) == (1, True)
    assert book(house).read_bytes() == before


async def test_a_registered_endpoint_is_tried_with_the_key_that_was_given(house, model):
    added = piped(house, "endpoints", "add", "box", f"{model.url}/v1", key=model.key)
    assert added.code == 0, added.err
    model.script.extend([Step(tools=(Tool(TOOL, {"word": "ready"}),))])
    ended = await call(house, "endpoints", "test", "box")
    assert ended.code == 0, ended.err
    assert "tools     yes" in ended.out
    assert model.key not in ended.out
    assert model.refused == []


async def test_a_task_is_done_by_a_model_of_a_registered_endpoint(house, model, repo):
    house.settings(
        server={"data_dir": str(house.folder / "state")},
        registry={"key_file": str(house.folder / "master")},
        worker={"work_dir": str(house.folder / "work")},
        profile=dict.fromkeys(("spec", "planning", "coding", "qa", "qa_fixer"), "box:toy"),
    )
    assert piped(house, "endpoints", "add", "box", f"{model.url}/v1", key=model.key).code == 0
    model.script.extend(chat_steps("spec:0"))
    ended = await call(house, "run", "--repo", str(repo), "Retry the payment client with back-off")
    assert ended.code == 3, ended.err
    assert waiting(ended)
    assert model.refused == []
    state = [path for path in (house.folder / "state").rglob("*") if path.is_file()]
    assert state
    assert not [path for path in state if model.key.encode() in path.read_bytes()], "the key lies nowhere in clear"


def test_the_demo_needs_nobodys_keys(house):
    piped(house, *ADD)
    (house.folder / "master").unlink()
    ended = house.run("demo", "--yes", env={"GATEWRIGHT_REGISTRY__FILE": str(book(house))})
    assert ended.code == 0, ended.err
