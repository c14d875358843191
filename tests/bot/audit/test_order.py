from __future__ import annotations

import msgspec
import pytest

from bot.audit.keys import InstanceKey
from bot.audit.order import OrderError, sign_order, verify_order
from bot.model.event import ForgeKind, Repo
from bot.model.gates import Artifact
from bot.model.order import Order
from bot.model.policy import Policy
from bot.model.state import Gate, Step

ORDER = Order(
    task="42-k7f3qd", attempt=3, step=Step.CODING, round=0, instance="gw",
    repo=Repo(ForgeKind.GITHUB, "github.com", 7, "a/b"), clone_url="https://github.com/a/b.git", issue=42,
    title="Zahlung \N{EURO SIGN}", issue_blob="1" * 64, base_branch="main", base_commit="2" * 40,
    branch="gatewright/42-k7f3qd-x", head="", held_blob="", scope_approved=(), policy=Policy(),
    server_policy_sha256="7" * 64, model="sonnet", fallbacks=(), allowances=(), day="2026-11-22",
    spec=Artifact(Gate.SPEC, 1, "3" * 64, "4" * 64, "model"), plan=None, feedback=(), verdict_blob="", genesis="5" * 64,
    journal_size=9, journal_head="6" * 64, audit_ref="refs/gatewright/audit/42-k7f3qd", wall_seconds=1_800.0, turns=100,
    issued_ms=1_795_300_000_000,
)  # fmt: skip
KEY = InstanceKey.generate()


def test_a_worker_reads_what_control_signed():
    assert verify_order(sign_order(ORDER, KEY), KEY.public) == ORDER


def test_every_altered_byte_is_refused():
    raw = sign_order(ORDER, KEY)
    for at in range(len(raw)):
        with pytest.raises(OrderError):
            verify_order(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :], KEY.public)


def test_another_instance_gives_no_orders():
    with pytest.raises(OrderError) as refused:
        verify_order(sign_order(ORDER, InstanceKey.generate()), KEY.public)
    assert refused.value.code == "GW-ORDER-SIGNATURE"


def test_a_signature_over_the_same_bytes_for_another_purpose_is_no_order():
    body = msgspec.json.encode(ORDER, order="sorted")

    with pytest.raises(OrderError):
        verify_order(KEY.sign(body).hex().encode() + b"\n" + body, KEY.public)


@pytest.mark.parametrize("raw", [b"", b"\n", b"zz\n{}", b"\xff\xff\n{}", b"00" * 64 + b"\n{}"])
def test_noise_is_refused(raw):
    with pytest.raises(OrderError):
        verify_order(raw, KEY.public)


def test_a_signed_order_in_another_form_is_named_as_such():
    signature = KEY.sign(b"gatewright/order/v1\n{}").hex().encode()

    with pytest.raises(OrderError) as refused:
        verify_order(signature + b"\n{}", KEY.public)
    assert refused.value.code == "GW-ORDER-FORM"
