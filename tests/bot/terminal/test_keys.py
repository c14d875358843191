"""The keys of an instance from the command line: made, shown, rotated, revoked, and told to auditors."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from bot import keyring
from bot.audit import entries
from bot.audit.keys import InstanceKey, VKey, verify
from bot.audit.log import Log
from bot.audit.note import Checkpoint, Note, witness_vkey
from bot.audit.trust import load as read_trust
from bot.cli import main
from bot.model.errors import GatewrightError
from bot.settings_file import load
from bot.terminal import keys as module
from tests.bot.audit.tsa import Authority

NAME = "bank"


class Bank:
    """One instance: its settings file and its state."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.data, self.config = folder / "data", folder / "gatewright.toml"
        self.config.write_text(f'[server]\ninstance = "{NAME}"\ndata_dir = "{self.data}"\n{more}')

    def key(self) -> InstanceKey:
        return keyring.control_key(load(self.config))

    def kept(self, name: str) -> Path:
        return self.data / "keys" / name


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    made = Bank(tmp_path)
    assert module.init(made.config) == 0
    return made


def said(capsys: pytest.CaptureFixture[str], verb, *args: object, **more: object) -> str:
    capsys.readouterr()
    assert verb(*args, **more) == 0
    return capsys.readouterr().out


def code(verb, *args: object, **more: object) -> str:
    with pytest.raises(GatewrightError) as caught:
        verb(*args, **more)
    return caught.value.code


def test_init_makes_a_key_once(bank: Bank, capsys: pytest.CaptureFixture[str]):
    first = said(capsys, module.init, bank.config)
    assert first == said(capsys, module.init, bank.config) == bank.kept("instance.pub").read_text()
    assert bank.kept("instance.key").stat().st_mode & 0o777 == 0o600
    assert len(keyring.key_lines(bank.data)) == 1


def test_rotate_keeps_the_secrets_and_the_old_public_half_and_not_the_old_key(bank: Bank, capsys):
    before, pem = bank.key(), bank.kept("instance.key").read_bytes()
    said(capsys, module.rotate, bank.config)
    after = bank.key()
    assert after.public != before.public
    assert [after.derive(word) for word in ("marker", "task-keys")] == [
        before.derive(word) for word in ("marker", "task-keys")
    ]
    assert bank.kept("instance.pub").read_text().strip() == after.vkey(NAME)
    assert bank.kept("instance.key.root").stat().st_mode & 0o777 == 0o600
    for path in bank.kept("").iterdir():
        assert pem.splitlines()[1] not in path.read_bytes()
    assert keyring.key_ring(bank.data).keys == (VKey(NAME, before.public), VKey(NAME, after.public))
    note = Note.parse(entries.decode(keyring.key_lines(bank.data)[-1]).note.encode())
    assert note.is_by(VKey(NAME, before.public))
    assert note.is_by(VKey(NAME, after.public))
    said(capsys, module.rotate, bank.config)
    assert bank.key().derive("marker") == before.derive("marker")


def test_a_rotation_that_died_leaves_a_key_that_works(bank: Bank, monkeypatch: pytest.MonkeyPatch):
    before = bank.key()
    monkeypatch.setattr(keyring.key_notes, "added", lambda *_: (_ for _ in ()).throw(OSError("died")))
    with pytest.raises(OSError, match="died"):
        module.rotate(bank.config)
    monkeypatch.undo()
    assert bank.key().derive("marker") == before.derive("marker")
    module.show(bank.config, public="", as_json=False)
    assert keyring.key_ring(bank.data).valid[-1].public == bank.key().public


def test_revoke_takes_an_old_key_and_never_the_one_in_use(bank: Bank, capsys):
    old = VKey(NAME, bank.key().public)
    assert code(module.revoke, str(old), log_size=-1, config=bank.config) == "GW-KEY-CURRENT"
    module.rotate(bank.config)
    assert code(module.revoke, "00000000", log_size=-1, config=bank.config) == "GW-KEY-UNKNOWN"
    assert "first 7 entries" in said(capsys, module.revoke, old.key_id.hex(), log_size=7, config=bank.config)
    shown = json.loads(said(capsys, module.show, bank.config, public="", as_json=True))
    assert [row["state"] for row in shown["keys"]] == ["revoked at 7 entries", "in use"]
    assert said(capsys, module.show, bank.config, public="", as_json=False).count("\n") == 2


def test_the_trust_file_says_what_an_auditor_needs(tmp_path: Path, capsys):
    authority, seen = Authority(tmp_path / "tsa"), VKey("w", InstanceKey.generate().public)
    (tmp_path / "roots.pem").write_bytes(b"# the bank's own\n" + authority.roots)
    more = f'[audit]\ntsa_url = "http://127.0.0.1:9"\ntsa_ca = "{tmp_path}/roots.pem"\n'
    bank = Bank(tmp_path, f'{more}[[audit.witnesses]]\nurl = "http://127.0.0.1:9"\nvkey = "{witness_vkey(seen)}"\n')
    module.init(bank.config)
    old = bank.key().vkey(NAME)
    log, key = Log.open(bank.data / "log"), bank.key()
    log.append([b"{}"])
    log.publish(Note.sign(str(Checkpoint(NAME, 1, log.head.root)), NAME, key.public, key))
    root = log.head.root
    log.close()
    module.rotate(bank.config)
    module.revoke(old, log_size=-1, config=bank.config)
    assert module.trust(bank.config, out=tmp_path / "trust.json") == 0
    found = json.loads((tmp_path / "trust.json").read_text())
    assert found == json.loads(said(capsys, module.trust, bank.config, out=None))
    assert found == {
        "schema": "gatewright/trust/v1",
        "instance": NAME,
        "keys": [bank.key().vkey(NAME)],
        "revoked": [{"vkey": old, "log_size": 1}],
        "log": {"size": 1, "root": b64encode(root).decode()},
        "witnesses": {"quorum": 1, "keys": [witness_vkey(seen)]},
        "tsa": [authority.roots.decode()],
    }
    assert read_trust(tmp_path / "trust.json").witnesses == (seen,)


def test_a_key_that_lies_elsewhere(tmp_path: Path, capsys):
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "t.pem"], check=True)
    der = subprocess.run(
        ["openssl", "pkey", "-in", tmp_path / "t.pem", "-pubout", "-outform", "DER"], check=True, capture_output=True
    )
    (tmp_path / "sign.py").write_text(
        "import subprocess, sys, tempfile\n"
        "f = tempfile.NamedTemporaryFile(); f.write(sys.stdin.buffer.read()); f.flush()\n"
        "a = ['openssl', 'pkeyutl', '-sign', '-rawin', '-inkey', sys.argv[1], '-in', f.name]\n"
        "sys.stdout.buffer.write(subprocess.run(a, check=True, capture_output=True).stdout)\n"
    )
    bank = Bank(tmp_path)
    public = said(capsys, module.show, bank.config, public=der.stdout[-32:].hex(), as_json=False).strip()
    command = json.dumps([sys.executable, str(tmp_path / "sign.py"), str(tmp_path / "t.pem")])
    outside = Bank(tmp_path, f'[audit]\nsign_command = {command}\npublic_key = "{public}"\n')
    assert said(capsys, module.init, outside.config) == public + "\n"
    key = outside.key()
    assert verify(VKey.parse(public).public, b"x", key.sign(b"x"))
    assert key.derive("marker") == outside.key().derive("marker"), "its root is a file"
    assert outside.kept("instance.key.root").stat().st_mode & 0o777 == 0o600
    assert not outside.kept("instance.key").exists()
    assert code(module.rotate, outside.config) == "GW-KEY-OUTSIDE"
    for wrong in ("", "words", public.replace(NAME, "shop", 1)):
        bad = Bank(tmp_path, f'[audit]\nsign_command = {command}\npublic_key = "{wrong}"\n')
        assert code(module.init, bad.config) == "GW-KEY-PUBLIC"


def test_a_key_that_moves_elsewhere_takes_its_secrets_along(bank: Bank):
    before = bank.key()
    public = VKey(NAME, InstanceKey.generate().public)
    Bank(bank.data.parent, f'[audit]\nsign_command = ["true"]\npublic_key = "{public}"\n')
    assert bank.key().derive("marker") == before.derive("marker")


def test_what_is_no_key_and_no_instance_is_said(tmp_path: Path):
    empty = Bank(tmp_path)
    assert code(module.show, empty.config, public="", as_json=False) == "GW-KEY-NONE"
    assert code(module.show, empty.config, public="00", as_json=False) == "GW-KEY-PUBLIC"
    module.init(empty.config)
    empty.kept("instance.history").write_bytes(b"words\n")
    assert code(module.show, empty.config, public="", as_json=False) == "GW-KEY-HISTORY"


def test_the_verbs_are_there(bank: Bank, monkeypatch: pytest.MonkeyPatch, capsys):
    for words in (["init"], ["show"], ["show", "--json"], ["rotate"], ["trust"]):
        monkeypatch.setattr(sys, "argv", ["gatewright", "keys", *words, "--config", str(bank.config)])
        with pytest.raises(SystemExit) as caught:
            main()
        assert not caught.value.code
        assert NAME in capsys.readouterr().out
    old = keyring.key_ring(bank.data).keys[0].key_id.hex()
    monkeypatch.setattr(sys, "argv", ["gatewright", "keys", "revoke", old, "--config", str(bank.config)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert not caught.value.code
