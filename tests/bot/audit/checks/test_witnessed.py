from __future__ import annotations

import pytest

from bot.audit.sheet import Severity
from tests.bot.audit.checks.kit import alone, found
from tests.bot.audit.signed import SignedStory, Tsa, Witness, recently

STAMP = "audit/proofs/0000000061.tsr"


@pytest.fixture(scope="module")
def witnessed(tmp_path_factory) -> SignedStory:
    """A task whose log two witnesses cosign, and whose seal is stamped."""
    root = tmp_path_factory.mktemp("witnessed")
    names = (Witness("a.example.org"), Witness("b.example.org"))
    return SignedStory(root, witnesses=names, tsa=Tsa(root), now=recently()).until_sealed()


def test_cosigned_and_stamped_is_l5(witnessed):
    verdict = alone(witnessed, log=True)

    assert (verdict.exit_code, verdict.level, verdict.asked) == (0, "L5", "L5")
    assert {"witness", "time"} <= {held.check for held in verdict.held}


def test_one_witness_short_of_the_quorum(witnessed):
    keys = [witnessed.log.witnesses[0].vkey(), Witness("c.example.org").vkey()]
    asked = {"witnesses": {"quorum": 2, "keys": keys}, "tsa": None}

    verdict = alone(witnessed, **asked)

    assert (verdict.exit_code, verdict.level) == (2, "L4")
    assert "1 trusted witnesses cosigned" in found(verdict, "witness").what


def test_a_time_stamp_alone_is_l5(witnessed):
    assert alone(witnessed, witnesses=None).level == "L5"


def test_neither_trusted_is_l4_and_says_so(witnessed):
    verdict = alone(witnessed, witnesses=None, tsa=None)

    assert (verdict.exit_code, verdict.level) == (0, "L4")
    assert any("nobody else's signature" in text for text in verdict.not_proven)


def test_a_missing_stamp_is_incomplete_where_nothing_else_is_asked_for(witnessed):
    files = {name: raw for name, raw in witnessed.files().items() if name != STAMP}

    assert alone(witnessed, files, witnesses=None).exit_code == 2
    assert alone(witnessed, files).level == "L5"  # witnesses saw it


def test_a_stamp_over_another_seal(witnessed):
    stamp = witnessed.tsa.stamp(b"another")

    verdict = alone(witnessed, witnessed.files() | {STAMP: stamp})

    assert verdict.exit_code == 1
    assert found(verdict, "time").severity is Severity.TAMPERED


def test_a_stamp_by_an_authority_that_nobody_trusts(witnessed, tmp_path):
    verdict = alone(witnessed, tsa=[Tsa(tmp_path).pem], witnesses=None)

    assert verdict.exit_code == 1
    assert "trusted authority" in found(verdict, "time").what


def test_a_stamp_that_is_none(witnessed):
    assert alone(witnessed, witnessed.files() | {STAMP: b"soon"}).exit_code == 1
