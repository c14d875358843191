"""The contract checker finds what a forge would silently ignore or never answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.simulators.contract import Contract, Exchange

COMMENTS = "/repos/o/r/issues/1/comments"


@pytest.fixture(scope="module")
def contract(test_data: Path) -> Contract:
    return Contract(test_data / "forges/github/rest.openapi.json")


@pytest.fixture(scope="module")
def examples(test_data: Path) -> dict[str, Any]:
    listed = json.loads((test_data / "forges/github/rest.examples.json").read_text())
    return {entry["operation"]: entry["value"] for entry in listed if entry.get("status") in {"200", "201"}}


def exchange(
    method: str, path: str, sent: object = None, got: object = None, *, status: int = 200, query: str = ""
) -> Exchange:
    body = b"" if sent is None else json.dumps(sent).encode()
    answer = b"" if got is None else json.dumps(got).encode()
    return Exchange(method, path, query, "application/json", body, status, "application/json", answer)


def test_a_right_exchange_has_no_fault(contract: Contract, examples: dict[str, Any]) -> None:
    comment = examples["issues/create-comment"]
    assert list(contract.faults(exchange("POST", COMMENTS, {"body": "x"}, comment, status=201))) == []


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"text": "x"}, "'body' is a required property"),
        ({"body": 7}, "7 is not of type"),
        ({"body": "x", "bdy": 1}, "bdy"),
    ],
)
def test_a_wrong_request_is_found(
    contract: Contract, examples: dict[str, Any], sent: dict[str, Any], expected: str
) -> None:
    comment = examples["issues/create-comment"]
    (fault,) = contract.faults(exchange("POST", COMMENTS, sent, comment, status=201))
    assert "request" in fault
    assert expected in fault


def test_a_wrong_answer_is_found(contract: Contract, examples: dict[str, Any]) -> None:
    comment = {name: value for name, value in examples["issues/create-comment"].items() if name != "id"}
    (fault,) = contract.faults(exchange("POST", COMMENTS, {"body": "x"}, comment, status=201))
    assert "answer: 'id' is a required property" in fault


def test_an_unknown_path_query_or_status_is_found(contract: Contract) -> None:
    assert "no such operation" in next(contract.faults(exchange("POST", "/repos/o/r/issue/1/comments", {"body": "x"})))
    assert "['label']" in next(contract.faults(exchange("GET", "/repos/o/r/issues", got=[], query="label=bot")))
    assert "answer" in next(contract.faults(exchange("GET", "/repos/o/r/issues", got=[], status=202)))


def test_an_empty_answer_where_one_is_due_is_found(contract: Contract) -> None:
    assert "answer" in next(contract.faults(exchange("POST", COMMENTS, {"body": "x"}, status=201)))


@pytest.mark.parametrize(
    ("request_line", "sent", "operation"),
    [
        ("PATCH /repos/o/r/git/refs/heads/bot/issue-1", {"sha": "a" * 40}, "git/update-ref"),
        ("GET /repos/o/r/git/ref/heads/bot/issue-1", None, "git/get-ref"),
        ("GET /repos/o/r/commits/bot/issue-1/check-runs", None, "checks/list-for-ref"),
        ("DELETE /repos/o/r/git/refs/heads/bot/issue-1", None, ""),
    ],
)
def test_one_parameter_may_hold_slashes(
    contract: Contract, examples: dict[str, Any], request_line: str, sent: object, operation: str
) -> None:
    method, path = request_line.split()
    got = examples[operation] if operation else None
    assert list(contract.faults(exchange(method, path, sent, got, status=200 if operation else 204))) == []
