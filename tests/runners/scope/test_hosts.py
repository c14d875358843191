from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.scope.hosts import hosts, new_host
from tests.runners.scope.parts import changed, new, paths, said, view


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://evil.io/x", "evil.io"),
        ("HTTPS://EVIL.io", "evil.io"),
        ("x='wss://a.evil.io:8443/y'", "a.evil.io"),
        ("https://github.com@evil.io/", "evil.io"),
        ("https://user:p@ss@evil.io/", "evil.io"),
        ("https://evil.io.", "evil.io"),
        ("https://%65vil.io/", "evil.io"),
        ("git@evil.io:me/x.git", "evil.io"),
        ("src=//cdn.evil.io/x.js", "cdn.evil.io"),
        ("http://redis:6379", "redis"),
        ("https://b\u00fccher.de/", "b\u00fccher.de"),
        ("connect('203.0.113.9')", "203.0.113.9"),
        ("http://203.0.113.9:80/", "203.0.113.9"),
        ("http://[2001:db8::1]:80/", "2001:db8::1"),
        ("listen 2001:db8::5 now", "2001:db8::5"),
        ("http://0x7f.1/", "0x7f.1"),
    ],
)
def test_a_host(text: str, host: str) -> None:
    assert hosts(text) == {host}


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:8000/", "http://127.0.0.1/", "bind 0.0.0.0", "http://[::1]/", "https://example.com/",
        "https://a.example.org", "http://x.test/", "https://{host}/", "https://$HOST/", "// a comment.", "std::vector",
        "a::b", "x[::2]", "12:30:45", "version 1.2.3", "1.2.3.4.5", "999.1.1.1", "me@mail.io: hello", "a // b.c",
    ],
)  # fmt: skip
def test_no_host(text: str) -> None:
    assert hosts(text) == set()


def test_only_what_no_changed_file_held_before_is_new() -> None:
    old = changed("a.py", "get('https://known.io')\n", "get('https://known.io')\n\nget('https://new.io/x')\n")
    other = new("b.py", "get('https://known.io/other')\n")
    assert paths(new_host(view(old, other))) == ["a.py"]
    assert said(new_host(view(old, other))) == "names new.io"


def test_a_host_in_ascii_for_people() -> None:
    assert said(new_host(view(new("a", "https://\u0435vil.io")))) == "names \\u0435vil.io"


@given(st.text())
def test_no_text_upsets_it(text: str) -> None:
    assert all(host for host in hosts(text))


def test_long_lines_cost_little() -> None:
    assert hosts("a" * 300_000 + "@" * 100_000 + ":" * 100_000 + "1." * 50_000) == set()
