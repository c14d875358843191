"""The way out of this machine, set once: which authorities are trusted, and through which proxy.

No variable is read by all programs, and the one that Python and curl read replaces the system's authorities instead of
adding to them. So the system's and ours are merged into one file, and its name is given under every variable, to this
process and through it to git; the jail shows the same file under a name of its own.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bot.model.errors import UsageError
from bot.settings import Settings
from bot.settings_file import data_dir

# Who reads which: Python and curl; requests (python-gitlab) and pip's own copy; curl; git; node; Codex; pip; npm.
CA_NAMES: Final = (
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS",
    "CODEX_CA_CERTIFICATE", "PIP_CERT", "npm_config_cafile",
)  # fmt: skip
PROXY_NAMES: Final = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
DIRECT_NAMES: Final = ("NO_PROXY", "no_proxy")
# Always direct: the gateway's door and everything else on this machine. Hosts, not ranges: httpx reads no ranges.
LOCAL: Final = ("localhost", "127.0.0.1", "::1")
SYSTEM: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"


def go_out(settings: Settings, environ: MutableMapping[str, str] | None = None) -> None:
    """Put the way out into the environment of this process, before any client is made."""
    environ = os.environ if environ is None else environ
    environ.update(variables(settings, trusted(settings), environ))


def variables(settings: Settings, bundle: Path | None, environ: Mapping[str, str]) -> dict[str, str]:
    """Spell the way out as environment variables; what is not set here stays as the administrator left it."""
    network = settings.network
    found = dict.fromkeys(CA_NAMES, str(bundle)) if bundle else {}
    if network.proxy:
        found |= dict.fromkeys(PROXY_NAMES, checked_proxy(network.proxy))
    if network.proxy or network.no_proxy or any(environ.get(name) for name in PROXY_NAMES):
        given = network.no_proxy or tuple(environ.get("NO_PROXY", environ.get("no_proxy", "")).split(","))
        direct = dict.fromkeys(host.strip() for host in (*given, *LOCAL) if host.strip())
        found |= dict.fromkeys(DIRECT_NAMES, ",".join(direct))
    return found


def trusted(settings: Settings) -> Path | None:
    """Merge the system's authorities with ours into one file everybody may read; None where there are none of ours."""
    ours = [_pem(Path(name)) for name in dict.fromkeys((settings.network.ca_file, settings.gitlab.ca_file)) if name]
    if not ours:
        return None
    merged = "\n".join([_system(), *ours]).encode()
    folder = data_dir(settings) / "trust"
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    place = folder / f"{hashlib.sha256(merged).hexdigest()[:16]}.pem"
    if not place.exists():
        scratch = place.with_suffix(f".{os.getpid()}")
        scratch.write_bytes(merged)
        scratch.chmod(0o644)
        scratch.replace(place)
    return place


def checked_proxy(url: str) -> str:
    """Accept what every client understands: http and https proxies, by host and port."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            "GW-NETWORK-PROXY",
            "[network] proxy is no address of a proxy",
            why=f"it begins with {parts.scheme or 'nothing'}://" if "://" in url else "it has no scheme",
            fix="write http://host:port; SOCKS is not understood by all clients",
        )
    return url


def _system() -> str:
    paths = ssl.get_default_verify_paths()
    for name in (paths.cafile, *SYSTEM):
        if name and Path(name).is_file():
            return Path(name).read_text(encoding="utf-8", errors="replace")
    return ""  # a machine that trusts nobody: then only ours are


def _pem(path: Path) -> str:
    fix = "name a file with certificates in PEM (-----BEGIN CERTIFICATE-----)"
    try:
        text = path.expanduser().read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError("GW-NETWORK-CA", f"cannot read {path}", why=error.strerror or str(error), fix=fix) from None
    try:
        ssl.create_default_context(cadata=text)
    except ssl.SSLError as error:
        raise UsageError("GW-NETWORK-CA", f"{path} holds no certificates", why=str(error), fix=fix) from None
    if CERTIFICATE not in text:
        raise UsageError("GW-NETWORK-CA", f"{path} holds no certificates", fix=fix)
    return text
