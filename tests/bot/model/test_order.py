from __future__ import annotations

import msgspec

from bot.model.event import ForgeKind, Repo
from bot.model.gates import Artifact
from bot.model.order import Order
from bot.model.policy import Policy
from bot.model.state import Gate, Step

ORDER = Order(
    task="42-k7f3qd", attempt=3, step=Step.CODING, round=1, instance="acme",
    repo=Repo(ForgeKind.GITHUB, "github.com", 7, "pay/core"), clone_url="https://github.com/pay/core.git", issue=42,
    title="Retry", issue_blob="a" * 64, base_branch="main", base_commit="b" * 40, branch="gatewright/42-k7f3qd-retry",
    head="", held_blob="", scope_approved=("e" * 64,), policy=Policy(), server_policy_sha256="f" * 64,
    model="sonnet", fallbacks=(), allowances=(), day="",
    spec=Artifact(Gate.SPEC, 1, "a" * 64, "c" * 64, "model"), plan=None, feedback=("d" * 64,),
    verdict_blob="", genesis="0" * 64, journal_size=12, journal_head="1" * 64,
    audit_ref="refs/gatewright/audit/42-k7f3qd", wall_seconds=1_800.0, turns=100, issued_ms=5,
)  # fmt: skip


def test_an_order_is_signed_whole_and_read_back_whole():
    assert msgspec.json.decode(msgspec.json.encode(ORDER), type=Order) == ORDER


def test_an_order_names_no_secret_and_no_text_of_people_but_the_title():
    names = set(Order.__struct_fields__)
    assert not {name for name in names if any(word in name for word in ("token", "secret", "password", "key", "body"))}
