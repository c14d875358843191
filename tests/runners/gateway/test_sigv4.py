"""Signatures as AWS's published test suite (aws-sig-v4-test-suite) and its documentation have them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runners.gateway.sigv4 import Keys, signed

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
HOST = "https://example.amazonaws.com/"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("method", "url", "headers", "body", "names", "signature"),
    [
        ("GET", HOST, {}, b"", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", HOST, {}, b"", "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET", HOST + "?Param2=value2&Param1=value1", {}, b"", "host;x-amz-date",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "POST", HOST, FORM, b"Param1=value1", "content-type;host;x-amz-date",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            "GET", HOST, {"my-header1": " value1", "my-header2": '"a   b   c"'}, b"",
            "host;my-header1;my-header2;x-amz-date",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
    ],
    ids=["get-vanilla", "post-vanilla", "get-vanilla-query-order", "post-x-www-form-urlencoded", "get-header-trim"],
)  # fmt: skip
def test_the_published_vectors_hold(
    method: str, url: str, headers: dict[str, str], body: bytes, names: str, signature: str
) -> None:
    keys = Keys("AKIDEXAMPLE", SECRET, "", "us-east-1", "service")
    assert signed(method, url, headers, body, keys, NOW) == {
        "x-amz-date": "20150830T123600Z",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}",
    }


def test_the_documented_example_of_another_service_holds() -> None:
    url = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08"
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    made = signed("GET", url, headers, b"", Keys("AKIDEXAMPLE", SECRET, "", "us-east-1", "iam"), NOW)
    assert made["authorization"].endswith("=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")


def test_keys_show_no_secret() -> None:
    assert "secret" not in repr(Keys("access", "secret", "secret", "eu-west-1"))
