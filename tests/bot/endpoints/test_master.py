"""Master keys: the first source that is named counts, and nothing of it is ever said."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from bot.endpoints.master import CREDENTIAL, VARIABLE, master_keys
from bot.model.errors import GatewrightError, UsageError
from bot.settings import Registry

ONE, TWO = (Fernet.generate_key().decode() for _ in range(2))


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_the_service_manager_comes_first_then_file_command_and_environment(tmp_path):
    keys = [Fernet.generate_key().decode() for _ in range(4)]
    private(tmp_path / CREDENTIAL, keys[0])
    path = private(tmp_path / "key", keys[1])
    command = (sys.executable, "-c", f"print('{keys[2]}')")
    env = {VARIABLE: keys[3]}
    managed = {**env, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    elsewhere = {**env, "CREDENTIALS_DIRECTORY": str(tmp_path / "other")}
    assert master_keys(Registry(key_file=str(path), key_command=command), managed) == (keys[0].encode(),)
    assert master_keys(Registry(key_file=str(path), key_command=command), elsewhere) == (keys[1].encode(),)
    assert master_keys(Registry(key_command=command), elsewhere) == (keys[2].encode(),)
    assert master_keys(Registry(), env) == (keys[3].encode(),)


def test_several_keys_stand_newest_first_in_either_alphabet():
    raw = b"\xfb\xff" * 16
    text = f"{base64.b64encode(raw).decode()}\n\n{ONE}\n"
    assert master_keys(Registry(), {VARIABLE: text}) == (base64.urlsafe_b64encode(raw), ONE.encode())


def test_none_at_all_says_where_one_may_lie():
    with pytest.raises(UsageError) as caught:
        master_keys(Registry(), {})
    assert caught.value.code == "GW-ENDPOINT-MASTER"
    assert "openssl rand -base64 32" in caught.value.fix


@pytest.mark.parametrize("text", [ONE[:-4], f"{ONE} {TWO[:-1]}!", "pass phrase", "\n", ONE + TWO])
def test_what_is_no_key_is_refused_without_being_repeated(tmp_path, text):
    with pytest.raises(UsageError) as caught:
        master_keys(Registry(key_file=str(private(tmp_path / "key", text))), {})
    said = f"{caught.value.what}{caught.value.why}{caught.value.fix}"
    assert caught.value.code == "GW-ENDPOINT-MASTER"
    assert not any(len(word) > 1 and word in said for word in text.split() if word != "pass")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_open_is_refused(tmp_path, mode):
    path = private(tmp_path / "key", ONE)
    path.chmod(mode)
    with pytest.raises(UsageError, match="open to other users"):
        master_keys(Registry(key_file=str(path)), {VARIABLE: TWO})


@pytest.mark.parametrize("name", ["none", ".", "pipe", "loop", "binary", "long"])
def test_a_file_that_is_no_key_file_is_named(tmp_path, name):
    private(tmp_path / "binary", "").write_bytes(b"\xff\xfe")
    private(tmp_path / "long", "A" * 20_000)
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError, match=str(tmp_path)):
        master_keys(Registry(key_file=f"{tmp_path}/{name}"), {})


def test_a_credential_that_cannot_be_read_is_not_passed_over(tmp_path):
    (tmp_path / CREDENTIAL).symlink_to(CREDENTIAL)
    with pytest.raises(UsageError, match="cannot read the master key"):
        master_keys(Registry(), {VARIABLE: ONE, "CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_a_relative_path_would_depend_on_where_a_worker_starts():
    with pytest.raises(UsageError, match="no absolute path"):
        master_keys(Registry(key_file="key"), {})


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("/nonexistent/vault",), "No such file"),
        ((sys.executable, "-c", "import sys; sys.exit('the key is hunter2')"), "exit code 1"),
    ],
)
def test_a_command_that_fails_ends_the_search_and_shows_nothing_of_what_it_said(argv, why):
    with pytest.raises(GatewrightError) as caught:
        master_keys(Registry(key_command=argv), {VARIABLE: ONE})
    assert why in caught.value.why
    assert "hunter2" not in f"{caught.value.what}{caught.value.why}{caught.value.fix}"


def test_no_shell_reads_the_command(tmp_path):
    with pytest.raises(GatewrightError):
        master_keys(Registry(key_command=(f"touch {tmp_path}/made",)), {})
    assert list(tmp_path.iterdir()) == []
