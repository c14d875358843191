"""Azure OpenAI in both URL forms: the provider contract over the real gateway."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bot.settings import ProviderTable
from runners.loop.loop import Loop
from runners.providers.chat_azure import connector
from tests.runners.providers.contract import WireContract
from tests.simulators.models import Step, Tool
from tests.simulators.models.script import Maker
from tests.simulators.models.server import REAL_KEY

VERSION = "2024-10-21"


class AzureCase:
    """The official SDK and our loop against a scripted Azure."""

    dialect = "azure"
    model = "gpt-5-prod"

    def __init__(self, api_version: str) -> None:
        self.table = ProviderTable(api_version=api_version)

    def missing(self) -> str | None:
        return None

    def provider(self, steps: Sequence[Step | Maker], folder: Path) -> Loop:
        return Loop("azure", connector(self.table))

    def write(self, path: str, content: str) -> Tool:
        return Tool("write", {"path": path, "content": content})

    def command(self, line: str) -> Tool:
        return Tool("run", {"command": line})

    def answer(self, value: Any) -> Step:
        return Step(text=f"```json\n{json.dumps(value)}\n```")


class TestAzure(WireContract):
    case = AzureCase("")

    async def test_the_deployment_is_the_model_in_the_body(self) -> None:
        async with self.stage(Step(text="done")) as stage:
            await stage.run()
        [seen] = stage.model.requests
        assert seen.target == "/openai/v1/chat/completions"
        assert seen.body["model"] == "gpt-5-prod"
        assert seen.headers["api-key"] == REAL_KEY


class TestAzureDeployments(WireContract):
    case = AzureCase(VERSION)

    async def test_the_deployment_stands_in_the_path_and_the_version_in_the_query(self) -> None:
        async with self.stage(Step(text="done")) as stage:
            await stage.run()
        [seen] = stage.model.requests
        assert seen.target == f"/openai/deployments/gpt-5-prod/chat/completions?api-version={VERSION}"
        assert seen.headers["api-key"] == REAL_KEY
