from __future__ import annotations

import base64

import msgspec
import pytest

from bot.audit.keys import InstanceKey, VKey
from bot.audit.trust import load
from bot.model.errors import UsageError
from tests.bot.audit.signed import Witness

KEY = InstanceKey.generate()


def said(**changes):
    whole = {"schema": "gatewright/trust/v1", "instance": "gw-test", "keys": [KEY.vkey("gw-test")]} | changes
    return {name: value for name, value in whole.items() if value is not None}


def written(tmp_path, **changes):
    path = tmp_path / "trust.json"
    path.write_bytes(msgspec.json.encode(said(**changes)))
    return path


def test_the_least_there_can_be_reaches_l4(tmp_path):
    trust = load(written(tmp_path))

    assert trust.keys == (VKey("gw-test", KEY.public),)
    assert (trust.highest, trust.tolerance_ms, trust.log_dir) == (4, 300_000, None)


def test_witnesses_or_time_stamps_reach_l5_and_paths_are_beside_the_file(tmp_path):
    witness = Witness()
    trust = load(written(tmp_path, witnesses={"quorum": 1, "keys": [witness.vkey()]}, log_dir="log"))

    assert (trust.highest, trust.quorum, trust.log_dir) == (5, 1, tmp_path / "log")
    assert trust.witnesses == (VKey(witness.name, witness.key.public),)


def test_a_revoked_key_is_known_and_no_longer_trusted(tmp_path):
    key = KEY.vkey("gw-test")
    trust = load(written(tmp_path, revoked=[{"vkey": key, "log_size": 7}]))

    assert trust.keys == ()
    assert trust.known == (VKey.parse(key),)
    assert trust.revoked == {VKey.parse(key): 7}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"schema": "gatewright/trust/v2"}, "schema"),
        ({"keys": []}, "keys"),
        ({"keys": ["gw-test+00000000+AAAA"]}, "verifier key"),
        ({"keys": [KEY.vkey("another")]}, "another"),
        ({"instance": None}, "instance"),
        ({"unknown": 1}, "unknown"),
        ({"log": {"size": 3, "root": base64.b64encode(b"short").decode()}}, "32 bytes"),
        ({"log": {"size": 3, "root": "%%"}}, "base64"),
        ({"witnesses": {"quorum": 2, "keys": [Witness().vkey()]}}, "quorum"),
        ({"witnesses": {"quorum": 0, "keys": [Witness().vkey()]}}, "quorum"),
        ({"tsa": ["no certificate"]}, "tsa"),
        ({"bots": ["hubot"]}, "bots"),
        ({"clock_tolerance_s": -1}, "clock_tolerance_s"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_part_that_is_wrong(tmp_path, changes, why):
    with pytest.raises(UsageError) as error:
        load(written(tmp_path, **changes))

    assert error.value.code == "GW-AUDIT-TRUST-FORM"
    assert why in error.value.why


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema":"gatewright/trust/v1"}' * 2, b"\xff"])
def test_a_file_that_is_no_json_object_is_refused(tmp_path, content):
    path = tmp_path / "trust.json"
    path.write_bytes(content)

    with pytest.raises(UsageError, match="no trust file"):
        load(path)


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError) as error:
        load(tmp_path / "nothing.json")

    assert error.value.code == "GW-AUDIT-TRUST"
