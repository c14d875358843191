"""The models that an upstream says it has: one request that costs nothing, with the real address and key."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from bot.model.errors import GatewrightError, Unavailable
from runners.gateway.server import DIALECTS
from runners.gateway.sigv4 import Keys, signed
from runners.providers.protocol import Upstream

TIMEOUT: Final = httpx.Timeout(8.0)
ANSWER_MAX: Final = 8 << 20  # bytes; some list hundreds of models with all their prices
PATHS: Final = {
    "anthropic": "/v1/models?limit=1000",
    "openai": "/v1/models",
    "gemini": "/v1beta/models?pageSize=1000",
    "ollama": "/api/tags",
    "azure": "/openai/v1/models",
    "bedrock": "/",  # the list is another host's; any answer of this one says that it can be reached
}


class NotListed(GatewrightError):
    """The upstream answers, and does not say which models it has."""

    def __init__(self, why: str) -> None:
        super().__init__("GW-MODEL-LIST", why)


def listed(to: Upstream, api_version: str = "") -> tuple[str, ...]:
    """Ask for the models; raises NotListed where there is no such list, GatewrightError where nobody answers."""
    response = _get(to, api_version)
    if response.status_code in (401, 403) and to.dialect != "bedrock":
        raise GatewrightError(
            "GW-MODEL-AUTH", f"{to.provider} refuses the key", why=_said(response, to),
            fix="Give another key, or look at what this one may do.",
        )  # fmt: skip
    if to.dialect == "azure":
        raise NotListed("deployments are not listed, so whether this one exists shows at the first call")
    if to.dialect == "bedrock":
        raise NotListed("its models are not listed there, so whether this one may be used shows at the first call")
    if response.status_code >= 500:
        raise Unavailable(
            "GW-MODEL-CRASH", f"{to.provider} is in trouble: status {response.status_code}", why=_said(response, to),
            fix="Look at its own logs or status page.",
        )  # fmt: skip
    names = _names(response)
    if not names:
        raise NotListed("it lists no models, so whether this one exists shows at the first call")
    return names


def _get(to: Upstream, api_version: str) -> httpx.Response:
    dialect = DIALECTS[to.dialect]
    path = f"/openai/models?api-version={api_version}" if to.dialect == "azure" and api_version else PATHS[to.dialect]
    url = dialect.url(to.base_url, path)
    headers = {"accept": "application/json"}
    secret = dialect.credentials(to, "")
    if to.access_key:
        keys = Keys(to.access_key, to.api_key, to.session_token, to.region)
        secret |= signed("GET", url, headers, b"", keys, datetime.now(UTC))
    if to.dialect == "anthropic":
        headers["anthropic-version"] = "2023-06-01"
    try:
        with httpx.Client(timeout=TIMEOUT, follow_redirects=False) as client:
            return _whole(client, url, headers | secret)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = "no answer in time" if isinstance(error, httpx.TimeoutException) else str(error)
        raise Unavailable(
            "GW-MODEL-AWAY", f"{to.provider} cannot be reached at {to.base_url}", why=why or type(error).__name__,
            fix="See that it runs, that its address is right, and that [network] leads there.",
        ) from None  # fmt: skip


def _whole(client: httpx.Client, url: str, headers: dict[str, str]) -> httpx.Response:
    with client.stream("GET", url, headers=headers) as response:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > ANSWER_MAX:
                raise NotListed(f"its list is longer than {ANSWER_MAX >> 20} MiB and was not read")
        return httpx.Response(response.status_code, content=bytes(body))


def _names(response: httpx.Response) -> tuple[str, ...]:
    """Read the names out of any of the shapes; an answer of no known shape lists nothing."""
    try:
        body: Any = json.loads(response.content)
    except ValueError:
        return ()
    rows = (body.get("data") or body.get("models")) if isinstance(body, dict) else body
    found = (
        ((row.get("id") or row.get("name")) for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ()
    )
    return tuple(name.removeprefix("models/") for name in found if isinstance(name, str))


def _said(response: httpx.Response, to: Upstream) -> str:
    text = response.content.decode("utf-8", "replace")
    for secret in (to.api_key, to.auth_token, to.session_token):
        text = text.replace(secret, "***") if secret else text
    return " ".join(text.split())[:300]
