from __future__ import annotations

import pytest

from bot.model.errors import UsageError
from runners.egress.rules import Rules, target


@pytest.mark.parametrize(
    ("entry", "yes", "no"),
    [
        (
            "pkg.example.org",
            ["pkg.example.org:443", "Pkg.Example.org:80", "pkg.example.org.:443"],
            ["pkg.example.org:22", "a.pkg.example.org:443", "xpkg.example.org:443"],
        ),
        ("pkg.example.org:8443", ["pkg.example.org:8443"], ["pkg.example.org:443"]),
        ("*.npm.example", ["r.npm.example:443", "a.b.npm.example:80"], ["npm.example:443", "evilnpm.example:443"]),
        ("10.1.2.3", ["10.1.2.3:443"], ["10.1.2.30:443", "10.1.2.3:8080"]),
        ("fd00::1", ["[fd00::1]:443", "[fd00:0::1]:443"], ["[fd00::2]:443"]),
        ("[fd00::1]:8080", ["[fd00::1]:8080"], ["[fd00::1]:443"]),
    ],
)
def test_a_rule_lets_what_it_names_and_nothing_near_it(entry: str, yes: list[str], no: list[str]) -> None:
    rules = Rules.parse([entry])
    for text in (*yes, *no):
        found = target(text)
        assert found is not None, text
        assert rules.lets(found) == (text in yes), text


@pytest.mark.parametrize(
    "text",
    [
        "", "host", "host:0", "host:65536", "host:443:443", "a@host:443", "ho st:443", "host:443/x", "host:443#x",
        "2130706433:80", "0x7f.1:80", "127.1:80", "0177.0.0.1:80", "1.2.3.4.:80", "::1:80", "[host]:80", "[1.2.3.4]:80",
        "h\u00f6st:80", "a..b:80", "-a.b:80", "[fe80::1%eth0]:80",
    ],
)  # fmt: skip
def test_what_could_be_understood_in_two_ways_is_no_target(text: str) -> None:
    assert target(text) is None


@pytest.mark.parametrize(
    "entry", ["", "*", "*.10.0.0.1", "https://pkg.example.org", "pkg.example.org/simple", "a b", "10.0.0.0/8"]
)
def test_a_list_that_names_no_host_is_refused(entry: str) -> None:
    with pytest.raises(UsageError) as caught:
        Rules.parse([entry])
    assert caught.value.code == "GW-EGRESS-RULE"


def test_a_target_is_written_as_clients_write_it() -> None:
    assert str(target("[FD00::1]:443")) == "[fd00::1]:443"
    assert str(target("Example.ORG.:80")) == "example.org:80"
