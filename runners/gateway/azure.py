"""The dialect of Azure OpenAI: OpenAI's, under `/openai/v1` or under the path of a deployment."""

from __future__ import annotations

import re

from runners.gateway.dialect import Kind
from runners.gateway.openai import OpenAI
from runners.providers.protocol import Upstream

VERSION = r"api-version=(\d{4}-\d\d-\d\d(-preview)?|preview|latest|v1)"


class Azure(OpenAI):
    """Both URL forms; what Azure calls a deployment is the routed model."""

    name = "azure"
    paths: dict[str, Kind] = {
        "/openai/deployments/{model}/chat/completions": Kind.GENERATE,
        "/openai/v1/chat/completions": Kind.GENERATE,
        "/openai/v1/responses": Kind.GENERATE,
        "/openai/v1/models": Kind.MODELS,
    }
    queries = re.compile(f"({VERSION})?")

    def url(self, base: str, path: str) -> str:
        """Join; the resource's address is taken with or without `/openai/v1`, and there is no default."""
        return base.rstrip("/").removesuffix("/v1").removesuffix("/openai") + path

    def credentials(self, upstream: Upstream, beta: str) -> dict[str, str]:  # noqa: ARG002 - no such header here
        """Send a key as api-key, a token of Entra ID as bearer."""
        if upstream.auth_token:
            return {"authorization": f"Bearer {upstream.auth_token}"}
        return {"api-key": upstream.api_key}
