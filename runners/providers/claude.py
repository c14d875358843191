"""Claude through the Claude Agent SDK and its own binary, inside the jail, behind the gateway; Bedrock's as well."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bot.model.errors import GatewrightError
from runners.providers.claude_errors import WHY_MAX, explain
from runners.providers.claude_leash import Leash
from runners.providers.claude_texts import error, reminder
from runners.providers.claude_tools import Tools
from runners.providers.protocol import Access, Cause, Door, Jail, Limits, Recorder, Request, Result

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeSDKClient, Message, ResultMessage

BEDROCK: Final = "bedrock"
INSIDE: Final = "/opt/rt/claude"
HOME: Final = "/home/agent"
MESSAGE_MAX: Final = (
    64 << 20
)  # bytes of one message of the runtime; the SDK's own bound of 1 MiB ends a run on a large file
HOOK_SECONDS: Final = 30.0
ARGUMENT_MAX: Final = 128 << 10  # bytes of one argument, by the kernel (MAX_ARG_STRLEN)


def preload() -> None:
    """Import the SDK in a process that will fork: every run pays half a second of CPU otherwise."""
    import claude_agent_sdk  # noqa: F401, PLC0415


def create_client(request: Request, cli: Path, tools: Tools, stderr: Callable[[str], None]) -> ClaudeSDKClient:
    """Make a Claude client: the only place that may (a test holds it), so that no client escapes jail and records.

    The repository's own settings, instructions, hooks and servers are not obeyed; prompts are sent as they are.
    """
    from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, HookMatcher  # noqa: PLC0415

    def hook(*callbacks: Any) -> list[HookMatcher]:
        return [HookMatcher(hooks=list(callbacks), timeout=HOOK_SECONDS, on_failure="block")]

    options = ClaudeAgentOptions(
        cli_path=cli,
        cwd="/",  # of the wrapper; the jail has its own. It must exist, and must not be a worktree
        model=request.model,
        system_prompt=request.system,
        tools=list(tools.names),
        permission_mode="default",
        can_use_tool=_allow,
        hooks={
            "PreToolUse": hook(tools.before),
            "PostToolUse": hook(tools.after),
            "PostToolUseFailure": hook(tools.after),
        },
        setting_sources=[],
        strict_mcp_config=True,
        verbatim_prompts=True,
        include_partial_messages=True,  # the sign of life while a long answer streams
        max_turns=request.limits.turns,
        max_buffer_size=MESSAGE_MAX,
        output_format={"type": "json_schema", "schema": request.schema} if request.schema else None,
        stderr=stderr,
    )
    return ClaudeSDKClient(options)


async def _allow(_name: str, _input: dict[str, Any], _context: Any) -> Any:
    from claude_agent_sdk import PermissionResultAllow  # noqa: PLC0415

    # The list of tools and the jail confine: a third guess at paths and commands would only be wrong.
    return PermissionResultAllow()


class ClaudeProvider:
    """Drives the Claude runtime; `name` is "claude", or "bedrock" where the model is asked at Amazon Bedrock.

    `retries` are the runtime's own, after a stream that broke off: all else is tried again by the gateway.
    """

    def __init__(self, name: str = "claude", *, binary: Path | None = None, retries: int = 2) -> None:
        self.name = name
        self._binary = binary
        self._retries = retries

    async def run(self, request: Request, jail: Jail, door: Door, recorder: Recorder) -> Result:
        """Drive one request to its end; no process, no temporary file and no open call is left behind."""
        _check_arguments(request)
        wrapper = jail.wrapper(
            [INSIDE],
            env=environment(request.limits, self._retries) | self._way(request.model, jail.gateway_url, door.token),
            binds=[(self._binary or bundled(), INSIDE)],
            writable=request.access is Access.WRITE,
        )
        before = door.usage
        with Leash(wrapper) as leash:
            session = Session(request, leash, door, recorder, self._retries)
            result = await session.run()
        return msgspec.structs.replace(result, usage=door.usage - before)

    def _way(self, model: str, gateway_url: str, token: str) -> dict[str, str]:
        """Say where the model is asked, in the words of either API."""
        if self.name != BEDROCK:
            return {"ANTHROPIC_BASE_URL": gateway_url, "ANTHROPIC_API_KEY": token}
        return {
            "CLAUDE_CODE_USE_BEDROCK": "1",
            "ANTHROPIC_BEDROCK_BASE_URL": gateway_url,
            "AWS_BEARER_TOKEN_BEDROCK": token,
            "AWS_REGION": "us-east-1",  # it wants one; the real one is the gateway's business
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": model,  # for what it would ask a small model
        }


class Session:
    """One conversation with the runtime under its clocks."""

    def __init__(self, request: Request, leash: Leash, door: Door, recorder: Recorder, retries: int) -> None:
        self._request = request
        self._leash = leash
        self._retries = retries
        self._stderr: deque[str] = deque(maxlen=20)
        self._idle = asyncio.timeout(request.limits.idle_seconds)
        self._tools = Tools(request.access, door, recorder, request.limits.output_bytes, self._sign)
        self._model = ""
        self._ended = False

    async def run(self) -> Result:
        """Converse to the end or to the end of a clock."""
        limits = self._request.limits
        wall = asyncio.timeout(limits.wall_seconds)
        client = create_client(self._request, self._leash.path, self._tools, self._keep)
        try:
            async with wall, self._idle:
                await client.connect()
                return await self._converse(client)
        except TimeoutError as problem:
            raise error(Cause.TIMEOUT, clock=self._over(wall), why=self._tail()) from problem
        except GatewrightError:
            raise
        except Exception as problem:
            if self._tools.fault:
                raise self._tools.fault from problem
            raise error(Cause.CRASH, why=self._tail() or str(problem)[:WHY_MAX]) from problem
        finally:
            self._ended = True
            self._leash.kill()  # before the SDK's own end, which would wait five seconds for a hung runtime
            try:
                await client.disconnect()
                await self._leash.gone()
            finally:
                self._tools.close()

    async def _converse(self, client: ClaudeSDKClient) -> Result:
        request = self._request
        result = await self._ask(client, request.prompt)
        if request.schema and result.structured_output is None:
            result = await self._ask(client, reminder())
        answer = result.structured_output if request.schema else None
        text = result.result or ""
        if request.schema and not isinstance(answer, dict):
            raise error(Cause.ANSWER, why=text[:WHY_MAX])
        if not text and answer is None and request.access is Access.READ:
            raise error(Cause.ANSWER, why="the answer was empty")
        return Result(text=text, answer=answer, model=self._model)

    async def _ask(self, client: ClaudeSDKClient, prompt: str) -> ResultMessage:
        from claude_agent_sdk import ResultMessage  # noqa: PLC0415

        await client.query(prompt)
        async for message in client.receive_response():
            self._saw(message)
            if self._tools.fault:
                raise self._tools.fault
            if isinstance(message, ResultMessage):
                if message.is_error or message.stop_reason == "refusal":
                    raise explain(message, self._request, retries=self._retries, stderr=self._tail())
                return message
        raise error(Cause.CRASH, why=self._tail() or "it ended without a result")

    def _saw(self, message: Message) -> None:
        from claude_agent_sdk import AssistantMessage  # noqa: PLC0415

        self._tools.saw(message)
        if isinstance(message, AssistantMessage) and not message.error:
            self._model = message.model

    def _sign(self, busy: bool) -> None:
        """Start the idle clock again; while a tool runs it stands still, for the runtime says nothing then."""
        if self._ended or self._idle.expired():
            return
        now = asyncio.get_running_loop().time()
        self._idle.reschedule(None if busy else now + self._request.limits.idle_seconds)

    def _over(self, wall: asyncio.Timeout) -> str:
        limits = self._request.limits
        if wall.expired():
            return f"{limits.wall_seconds:.0f} s in all"
        return f"{limits.idle_seconds:.0f} s of silence" if self._idle.expired() else "the runtime did not start"

    def _keep(self, line: str) -> None:
        self._stderr.append(line[:WHY_MAX])

    def _tail(self) -> str:
        return "\n".join(list(self._stderr)[-3:])[-WHY_MAX:]


def environment(limits: Limits, retries: int) -> dict[str, str]:
    """Say what the runtime finds: a home that ends with the jail, and nothing that calls out."""
    return {
        "HOME": HOME,
        "CLAUDE_CONFIG_DIR": f"{HOME}/.claude",
        "CLAUDE_CODE_TMPDIR": "/tmp",  # noqa: S108 - the jail's own
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",  # what runs on after the answer would be killed half-way
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "CLAUDE_CODE_MAX_RETRIES": str(retries),
        "API_TIMEOUT_MS": str(round(limits.idle_seconds * 1000)),
        "BASH_MAX_OUTPUT_LENGTH": str(limits.output_bytes),
    }


def bundled() -> Path:
    """Find the binary that the SDK brings along; raises GatewrightError where the SDK is not installed."""
    try:
        import claude_agent_sdk  # noqa: PLC0415
    except ImportError:
        raise GatewrightError(
            "GW-MODEL-RUNTIME-MISSING", "The Claude runtime is not installed on this runner",
            fix="Install the extra: pip install 'gatewright[claude]'.",
        ) from None  # fmt: skip
    binary = Path(claude_agent_sdk.__file__).parent / "_bundled" / "claude"
    if not binary.is_file():
        raise GatewrightError(
            "GW-MODEL-RUNTIME-MISSING", "The Claude Agent SDK was installed without its claude binary",
            why=f"{binary} does not exist: there is no wheel for this platform",
            fix="Run workers on Linux x86-64 or arm64 with glibc or musl.",
        )  # fmt: skip
    return binary


def _check_arguments(request: Request) -> None:
    """Refuse what the kernel would: instructions and schema travel as one argument each."""
    largest = max(len(request.system.encode()), len(msgspec.json.encode(request.schema)))
    if largest >= ARGUMENT_MAX:
        raise error(
            Cause.CONTEXT, why=f"instructions of {largest} bytes exceed the {ARGUMENT_MAX} a command line takes"
        )
