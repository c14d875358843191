"""What may be registered: names that make a model string, URLs that a key may go to."""

from __future__ import annotations

import pytest

from bot.endpoints.address import checked_name, checked_url, is_loopback
from bot.model.errors import UsageError


@pytest.mark.parametrize("name", ["a", "gpu-1", "7b", "a" * 39])
def test_a_name_stands_before_a_colon(name):
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "-a", "A", "a:b", "a b", "a\n", "a\x1b[2J", "a\u202eb", "a/b", "ä", "a" * 40, "../x", "a\0"],
)
def test_a_name_that_could_steer_a_terminal_or_a_path_is_none(name):
    with pytest.raises(UsageError) as caught:
        checked_name(name)
    assert caught.value.code == "GW-ENDPOINT-NAME"
    assert caught.value.what.isprintable()


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://gpu-1.example/v1", "https://gpu-1.example/v1"),
        ("https://gpu-1.example:8443/v1//", "https://gpu-1.example:8443/v1"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_a_key_may_go_over_tls_or_stay_on_this_machine(url, kept):
    assert checked_url(url) == kept


@pytest.mark.parametrize("host", ["gpu-1.example", "10.0.0.7", "127.0.0.1.example", "localhost.example", "0.0.0.0"])
def test_clear_text_to_another_machine_has_to_be_asked_for_by_name(host):
    with pytest.raises(UsageError, match=r"clear text") as caught:
        checked_url(f"http://{host}/v1")
    assert caught.value.code == "GW-ENDPOINT-CLEAR"
    assert checked_url(f"http://{host}/v1", insecure=True) == f"http://{host}/v1"


@pytest.mark.parametrize(
    "url",
    [
        "", "gpu-1.example/v1", "ftp://h/v1", "https://", "https:///v1", "https://h:0/v1", "https://h:99999/v1",
        "https://h/v1?key=1", "https://h/v1#x", "https://h/v1?", "https://h\n/v1", "https://h/\x1b]0;x\x07",
        "https://h/v 1", "https://h\\@evil/v1", "https://[::1/v1", "https://ex\u0430mple/v1", "https://h/" + "a" * 2048,
    ],
)  # fmt: skip
def test_what_is_no_base_url_is_refused(url):
    with pytest.raises(UsageError) as caught:
        checked_url(url, insecure=True)
    assert caught.value.code == "GW-ENDPOINT-URL"
    assert caught.value.what.isprintable()


def test_a_password_in_a_url_is_refused_and_not_repeated():
    with pytest.raises(UsageError) as caught:
        checked_url("https://me:s3cret@h/v1")
    assert caught.value.code == "GW-ENDPOINT-URL"
    assert "s3cret" not in f"{caught.value.what}{caught.value.why}{caught.value.fix}"


def test_loopback_is_told_without_asking_for_addresses():
    hosts = ("127.8.8.8", "::1", "LOCALHOST", "2130706433", "::ffff:10.0.0.1")
    assert [host for host in hosts if is_loopback(host)] == ["127.8.8.8", "::1", "LOCALHOST"]
