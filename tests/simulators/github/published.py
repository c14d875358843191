"""What GitHub publishes of itself: REST operations and webhook payloads, mended where the publisher errs."""

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path
from typing import Any, Final

from tests.simulators.contract import Contract
from tests.simulators.github.hooks import PayloadSchema

GOVERNANCE: Final = Path(__file__).with_name("governance.openapi.json")


@functools.cache
def published(folder: Path) -> tuple[Contract, PayloadSchema]:
    """Load the published REST description and the schema of webhook payloads."""
    return Contract(folder / "rest.openapi.json", _mend), PayloadSchema(folder / "webhooks.schema.json")


def _mend(document: dict[str, Any]) -> None:
    _widen(document)
    _add(document)


def _add(document: dict[str, Any]) -> None:
    """Add the operations that only governance needs, and let a history hold kinds of entries that are not published."""
    more = json.loads(GOVERNANCE.read_text())
    document["paths"] |= more["paths"]
    for section, parts in more["components"].items():
        document["components"][section] = parts | document["components"].get(section, {})
    plain = copy.deepcopy(more["components"]["schemas"]["locked-issue-event"])
    plain["required"].remove("lock_reason")
    document["components"]["schemas"]["issue-event-for-issue"]["anyOf"].append(plain)


def _widen(document: dict[str, Any]) -> None:
    """Let the account of a listed installation be a user or an enterprise: it is published as both at once."""
    listed = document["paths"]["/app/installations"]["get"]["responses"]["200"]["content"]["application/json"]
    account = listed["schema"]["items"]["properties"]["account"]
    account["anyOf"] = account.pop("allOf")
