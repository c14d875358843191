"""What GitLab's refusals mean, and that each says what to do."""

from __future__ import annotations

import pytest

from bot.forges.gitlab_errors import moved, rate_limited, translate, unavailable, wait_asked

NOW = 1_760_000_000.0


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (429, {"Retry-After": "7"}, 7.0),
        (429, {"Retry-After": "7", "RateLimit-Reset": str(int(NOW) + 99)}, 7.0),
        (429, {"RateLimit-Reset": str(int(NOW) + 99)}, 99.0),
        (429, {"RateLimit-Reset": str(int(NOW) - 99)}, 1.0),
        (429, {}, 60.0),
        (429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 60.0),
        (429, {"Retry-After": "999999999"}, 3600.0),
        (403, {"Retry-After": "7"}, None),
        (503, {}, None),
    ],
)
def test_how_long_a_refusal_asks_us_to_wait(status: int, headers: dict[str, str], expected: float | None) -> None:
    assert wait_asked(status, headers, NOW) == expected


@pytest.mark.parametrize(
    ("status", "said", "code", "fix"),
    [
        (401, "401 Unauthorized", "GW-FORGE-AUTH", "token"),
        (403, "insufficient_scope", "GW-FORGE-FORBIDDEN", "scope api"),
        (403, "403 Forbidden", "GW-FORGE-FORBIDDEN", "Developer"),
        (404, "404 Project Not Found", "GW-FORGE-NOT-FOUND", "member"),
        (410, "Gone", "GW-FORGE-NOT-FOUND", "member"),
        (400, "note is missing", "GW-FORGE-INVALID", "reason"),
        (409, "Another open merge request already exists", "GW-FORGE-INVALID", "reason"),
        (422, "Unprocessable", "GW-FORGE-INVALID", "reason"),
        (500, "oops", "GW-FORGE-UNAVAILABLE", "[gitlab] url"),
        (304, "", "GW-FORGE-MOVED", "external_url"),
    ],
)
def test_each_refusal_has_a_code_a_reason_and_a_way_out(status: int, said: str, code: str, fix: str) -> None:
    error = translate(status, said, "GET /x")
    assert (error.code, "GET /x" in error.what, fix in error.fix) == (code, True, True)
    assert said in error.why


def test_what_gitlab_says_is_passed_on_only_so_far() -> None:
    for error in (translate(400, "x" * 9_000, "d"), unavailable("d", "x" * 9_000), moved("d", "x" * 9_000)):
        assert len(error.why) < 400


def test_a_rate_limit_is_something_that_passes() -> None:
    error = rate_limited("GET /x", NOW + 7, 7.0)
    assert (error.code, error.until) == ("GW-FORGE-RATE", NOW + 7)
    assert "7 s" in error.why
