from __future__ import annotations

import hashlib
import json

import pytest
from msgspec.structs import replace

from bot.model.approval import DOMAIN, SHOWN, Binding, matches
from bot.model.state import Gate
from bot.model.task import Profile

BOUND = Binding(
    "acme", "github", "github.com", 7, 42, "42-k7f3qd", Gate.SPEC, 1, "a" * 64, "b" * 40, "c" * 64, Profile(),
    "e" * 64,
)  # fmt: skip
DIGEST = BOUND.digest()


def test_the_digest_can_be_computed_by_anybody():
    """Domain, then canonical JSON of all that is bound: sorted keys, no white space."""
    body = {
        "instance": "acme", "forge": "github", "host": "github.com", "repo": 7, "issue": 42, "task": "42-k7f3qd",
        "gate": "spec", "rev": 1, "artifact_sha256": "a" * 64, "base_commit": "b" * 40, "policy_sha256": "c" * 64,
        "profile": {"spec": "sonnet", "planning": "opus", "coding": "sonnet", "qa": "sonnet", "qa_fixer": "sonnet"},
        "issue_sha256": "e" * 64,
    }  # fmt: skip
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    assert hashlib.sha256(DOMAIN + canonical).hexdigest() == DIGEST


@pytest.mark.parametrize("field", Binding.__struct_fields__)
def test_every_field_is_bound(field: str):
    other = {"gate": Gate.PLAN, "profile": Profile(qa="opus"), "repo": 8, "issue": 43, "rev": 2}.get(field, "d" * 64)
    assert replace(BOUND, **{field: other}).digest() != DIGEST


def test_a_prefix_that_texts_show_is_enough_whatever_its_case():
    assert matches(DIGEST[:SHOWN], DIGEST)
    assert matches(DIGEST[:20].upper(), DIGEST)
    assert matches(DIGEST, DIGEST)


@pytest.mark.parametrize("wanted", ["", DIGEST[: SHOWN - 1], DIGEST + "0", "0" * SHOWN, DIGEST[1 : SHOWN + 1]])
def test_anything_less_or_else_is_not(wanted: str):
    assert not matches(wanted, DIGEST)
