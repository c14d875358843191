from __future__ import annotations

import pytest

from runners.egress.rules import Target
from runners.egress.way import Blocked, Parent, is_direct, parent

PYPI = Target("pkg.example.org", 443)


@pytest.mark.parametrize(
    ("direct", "answer"),
    [
        ("", False), ("*", True), ("pkg.example.org", True), (".org", True), ("*.org", True),
        ("Pkg.Example.org:443", True),
        ("pkg.example.org:80", False), ("pi.org", False), ("a, b ,pkg.example.org", True), ("org.pypi", False),
    ],
)  # fmt: skip
def test_what_the_site_reaches_directly(direct: str, answer: bool) -> None:
    assert is_direct(PYPI, direct) is answer


def test_the_proxy_of_the_site_is_read_as_clients_read_it() -> None:
    environ = {
        "https_proxy": "https://u:p%3A@proxy.bank:8443",
        "HTTP_PROXY": "http://proxy.bank",
        "no_proxy": "in.bank",
    }
    assert parent(PYPI, "https", environ) == Parent("proxy.bank", 8443, True, "Basic dTpwOg==")
    assert parent(PYPI, "http", environ) == Parent("proxy.bank", 80, False)
    assert parent(Target("git.in.bank", 443), "https", environ) is None
    assert parent(PYPI, "https", {}) is None
    with pytest.raises(Blocked):
        parent(PYPI, "https", {"https_proxy": "socks5://x:1"})
