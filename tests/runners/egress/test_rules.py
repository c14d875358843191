from __future__ import annotations

import pytest

from bot.model.errors import UsageError
from bot.settings import Sandbox
from runners.egress.rules import Rules, check, target


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


@pytest.mark.parametrize(
    ("entry", "write"),
    [
        ("https://pypi.org/simple", 'write "pypi.org" in sandbox.setup_allow'),
        ("http://u:p@10.0.0.7:3141/", 'write "10.0.0.7:3141" in sandbox.setup_allow'),
        ("10.0.0.0/8", '"packages.example:8443"'),
    ],
)
def test_the_settings_say_which_entry_is_wrong_and_how_to_write_it(entry: str, write: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(Sandbox(network_allow=("pypi.org",), setup_allow=("*.npm.example", entry)))
    assert caught.value.what.startswith(f"sandbox.setup_allow: {entry!r} ")
    assert write in caught.value.fix
    with pytest.raises(UsageError, match=r"sandbox\.network_allow: "):
        check(Sandbox(network_allow=(entry,)))
    check(Sandbox(network_allow=("pypi.org:8443",), setup_allow=("10.1.2.3",)))


def test_a_target_is_written_as_clients_write_it() -> None:
    assert str(target("[FD00::1]:443")) == "[fd00::1]:443"
    assert str(target("Example.ORG.:80")) == "example.org:80"
