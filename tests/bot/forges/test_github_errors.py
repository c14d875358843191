"""Every refusal has a code and says what a person can do."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from gidgethub import BadRequest

from bot.forges.github_errors import translate

NOW = 1_800_000_000.0
NEAR, FAR = "Fri, 15 Jan 2027 08:00:10 GMT", "Fri, 15 Jan 2027 09:00:00 GMT"


@pytest.mark.parametrize(
    ("status", "headers", "code", "fix"),
    [
        (401, {}, "GW-FORGE-AUTH", "app_id and private_key"),
        (401, {"date": NEAR}, "GW-FORGE-AUTH", "app_id and private_key"),
        (401, {"date": FAR}, "GW-FORGE-AUTH", "-3600 s"),
        (401, {"date": "yesterday"}, "GW-FORGE-AUTH", "app_id and private_key"),
        (403, {}, "GW-FORGE-FORBIDDEN", "permission"),
        (403, {"x-accepted-github-permissions": "issues=write"}, "GW-FORGE-FORBIDDEN", "issues=write"),
        (403, {"x-github-sso": "required"}, "GW-FORGE-FORBIDDEN", "single sign-on"),
        (404, {}, "GW-FORGE-NOT-FOUND", "installed"),
        (410, {}, "GW-FORGE-NOT-FOUND", "installed"),
        (304, {}, "GW-FORGE-MOVED", "label"),
        (409, {}, "GW-FORGE-INVALID", "reason"),
        (451, {}, "GW-FORGE-INVALID", "reason"),
        (503, {}, "GW-FORGE-UNAVAILABLE", "githubstatus"),
    ],
)
def test_a_refusal_has_a_code_and_a_way_out(status: int, headers: dict[str, str], code: str, fix: str) -> None:
    error = translate(BadRequest(HTTPStatus(status), "because " + "x" * 999, headers=headers), "GET /x", NOW)
    assert error.code == code
    assert fix in error.fix
    assert "because" in error.why
    assert len(error.why) < 400
