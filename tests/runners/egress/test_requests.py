from __future__ import annotations

import h11
import pytest

from runners.egress.requests import read
from runners.egress.way import Blocked


def parsed(head: str) -> h11.Request:
    http = h11.Connection(h11.SERVER)
    http.receive_data(head.encode("latin-1"))
    event = http.next_event()
    assert isinstance(event, h11.Request)
    return event


def test_connect_names_its_target() -> None:
    asked = read(parsed("CONNECT pkg.example.org:443 HTTP/1.1\r\nHost: pkg.example.org:443\r\n\r\n"))
    assert (str(asked.target), asked.is_tunnel) == ("pkg.example.org:443", True)
    assert read(parsed("CONNECT pkg.example.org:443 HTTP/1.1\r\nHost: pkg.example.org\r\n\r\n")).target == asked.target


def test_plain_http_is_forwarded_without_what_is_of_one_hop_only() -> None:
    head = (
        "GET http://Mirror.test/simple/?a=b HTTP/1.1\r\nHost: mirror.test\r\nProxy-Authorization: Basic eDp5\r\n"
        "Connection: x-secret, keep-alive\r\nX-Secret: 1\r\nAccept: */*\r\n\r\n"
    )
    asked = read(parsed(head))
    assert (str(asked.target), asked.path, asked.headers) == ("mirror.test:80", "/simple/?a=b", ((b"accept", b"*/*"),))


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\r\nHost: pkg.example.org\r\n\r\n",
        "GET https://pkg.example.org/ HTTP/1.1\r\nHost: pkg.example.org\r\n\r\n",
        "GET ftp://pkg.example.org/ HTTP/1.1\r\nHost: pkg.example.org\r\n\r\n",
        "GET http://pkg.example.org@evil.test/ HTTP/1.1\r\nHost: pkg.example.org\r\n\r\n",
        "GET http://pkg.example.org/ HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        "GET http://pkg.example.org:8080/ HTTP/1.1\r\nHost: pkg.example.org:80\r\n\r\n",
        "GET http://pkg.example.org/#x HTTP/1.1\r\nHost: pkg.example.org\r\n\r\n",
        "GET http://pkg.example.org\\@evil.test/ HTTP/1.1\r\nHost: pkg.example.org\r\n\r\n",
        "CONNECT pkg.example.org:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n",
        "CONNECT pkg.example.org:443 HTTP/1.1\r\nHost: pkg.example.org:444\r\n\r\n",
        "CONNECT pkg.example.org HTTP/1.1\r\nHost: pkg.example.org\r\n\r\n",
        "CONNECT pkg.example.org:443 HTTP/1.1\r\nHost: pkg.example.org\r\nContent-Length: 3\r\n\r\nabc",
        "CONNECT pkg.example.org:443 HTTP/1.1\r\nHost: pkg.example.org\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_what_could_mean_two_things_is_refused(head: str) -> None:
    with pytest.raises(Blocked) as caught:
        read(parsed(head))
    assert caught.value.status == 400


def test_a_length_said_in_two_ways_is_refused() -> None:
    request = h11.Request(
        method="POST",
        target="http://pkg.example.org/",
        headers=[("host", "pkg.example.org"), ("content-length", "3"), ("transfer-encoding", "chunked")],
    )
    with pytest.raises(Blocked):
        read(request)
