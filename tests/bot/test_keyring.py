"""Where the keys of an instance lie, and who may read them."""

from __future__ import annotations

import pytest

from bot.audit.keys import VKey, verify
from bot.keyring import ensure_runner_key, instance_key, runner_key, runner_public
from bot.model.errors import GatewrightError
from bot.settings import Server, Settings


def test_a_key_is_made_once_and_is_nobody_elses_to_read(tmp_path):
    first, again = instance_key(tmp_path, "bank"), instance_key(tmp_path, "bank")
    assert (tmp_path / "keys/instance.key").stat().st_mode & 0o777 == 0o600
    public = VKey.parse((tmp_path / "keys/instance.pub").read_text().strip()).public
    assert verify(public, b"order", first.sign(b"order"))
    assert verify(public, b"order", again.sign(b"order"))


def test_the_two_keys_are_two(tmp_path):
    assert instance_key(tmp_path, "bank").sign(b"x") != runner_key(tmp_path, "bank").sign(b"x")
    assert verify(runner_public(tmp_path), b"x", runner_key(tmp_path, "bank").sign(b"x"))


def test_a_key_that_others_may_read_is_refused(tmp_path):
    instance_key(tmp_path, "bank")
    (tmp_path / "keys/instance.key").chmod(0o644)
    with pytest.raises(GatewrightError):
        instance_key(tmp_path, "bank")


def test_the_public_half_follows_its_key(tmp_path):
    instance_key(tmp_path, "bank")
    (tmp_path / "keys/instance.pub").write_text("of somebody else\n")
    key = instance_key(tmp_path, "bank")
    assert (tmp_path / "keys/instance.pub").read_text() == key.vkey("bank") + "\n"


@pytest.mark.parametrize("there", ["", "no key at all\n"])
def test_a_missing_or_broken_public_key_says_where_to_get_it(tmp_path, there):
    if there:
        (tmp_path / "keys").mkdir()
        (tmp_path / "keys/runner.pub").write_text(there)
    with pytest.raises(GatewrightError) as caught:
        runner_public(tmp_path)
    assert caught.value.code == "GW-CONTROL-RUNNER-KEY"
    assert "keys/runner.pub" in caught.value.fix


def test_a_worker_makes_its_own_key(tmp_path):
    ensure_runner_key(Settings(server=Server(data_dir=str(tmp_path))))
    assert len(runner_public(tmp_path)) == 32
