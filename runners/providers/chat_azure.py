"""Azure OpenAI: chat completions under one of two paths, where a deployment's name is the model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from urllib.parse import quote

from bot.settings import ProviderTable
from runners.providers.chat import ChatModel, opened
from runners.providers.protocol import Door, Recorder, Request

BASE: Final = "/openai/v1"
OLDER: Final = "/openai/deployments/{deployment}"  # with the version of the API in the query


def connector(
    table: ProviderTable,
) -> Callable[[Request, Door, Recorder], AbstractAsyncContextManager[ChatModel]]:
    """Make what opens the deployment of a run; `table.api_version` chooses the older of the two URL forms."""

    @asynccontextmanager
    async def connect(request: Request, door: Door, _recorder: Recorder) -> AsyncIterator[ChatModel]:
        base = OLDER.format(deployment=quote(request.model, safe="")) if table.api_version else BASE
        query = {"api-version": table.api_version} if table.api_version else {}
        async with opened(request.model, door, base, query) as model:
            yield model

    return connect
