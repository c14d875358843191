"""What every provider is: a request goes in, a result comes out, and every call is reported on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bot.model.errors import GatewrightError
from bot.model.state import Phase
from bot.model.task import Usage


class Access(StrEnum):
    """What the agent may do in the worktree."""

    READ = "read"  # spec, planning, qa: read and search only
    WRITE = "write"  # coding, qa_fixer: edit and run as well


class Limits(msgspec.Struct, frozen=True):
    """Where a run ends whatever the model says; the harness enforces these outside the runtime as well."""

    wall_seconds: float = 1800.0
    idle_seconds: float = 300.0  # without any sign of life
    turns: int = 100
    output_bytes: int = 30_000  # of one tool result


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one phase."""

    phase: Phase
    model: str  # without its routing prefix
    system: str
    prompt: str
    access: Access
    limits: Limits = Limits()
    schema: dict[str, Any] | None = None  # JSON schema the answer must satisfy, where the phase asks for one
    run_index: int = 0  # how many runs of this phase the task has had; a recording answers by it


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a run ended with; a run that did not end well raises ProviderError instead."""

    text: str  # the last answer of the model
    answer: dict[str, Any] | None = None  # parsed and schema-checked, where Request.schema was given
    usage: Usage = Usage()
    model: str = ""  # as the provider names what it used


class Cause(StrEnum):
    """Why a run failed, in words all providers share."""

    AUTH = "auth"
    QUOTA = "quota"
    RATE = "rate"
    CONTEXT = "context"
    MODEL = "model_not_found"
    REFUSAL = "refusal"
    TIMEOUT = "timeout"
    CRASH = "crash"
    ANSWER = "answer"  # no usable answer after the allowed tries
    BUDGET = "budget"


class Recorder(Protocol):
    """Where a run reports what it does; implemented over the attempt's stream, by a list in tests.

    `data` follows the closed schema of the kind (bot/audit/record.py); `blobs` are contents that are redacted and
    stored by salted commitment, under their names.
    """

    def record(
        self, kind: str, data: Mapping[str, Any], *, outcome: str = "ok", blobs: Mapping[str, bytes] | None = None
    ) -> None:
        """Report one record; never blocks on the network for long, never raises for a full disk silently."""


class Exec(msgspec.Struct, frozen=True):
    """How a command in the jail ended; `output` is stdout and stderr together, bounded, decoded with replacement."""

    exit_code: int
    output: str
    duration_ms: int
    timed_out: bool = False
    truncated: bool = False
    limit: str = ""  # the bound that ended it: memory, processes, disk, file, output or time; `output` ends with words


class Jail(Protocol):
    """One worktree in one sandbox (runners/workspace/sandbox.py)."""

    @property
    def worktree(self) -> Path:
        """Where the worktree lies on the host; hostile content, read it only beneath and without links."""

    @property
    def inside(self) -> str:
        """Where the worktree lies for the agent: `/workspace`."""

    @property
    def gateway_url(self) -> str:
        """Base URL of the gateway as the agent sees it."""

    @property
    def outside(self) -> str:
        """Proxy that whatever wants out has to ask: the filtering one, or the gateway, which refuses all."""

    @property
    def confined(self) -> bool:
        """Whether anything holds what runs here; where nothing does, evidence says so."""

    @property
    def passed(self) -> str:
        """The bound that a run through a wrapper was ended by, in words; empty where none."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        max_output: int = 30_000,
        env: Mapping[str, str] | None = None,
        writable: bool = True,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Exec:
        """Run one command in the jail to its end or its time-out; nothing of it survives."""

    def wrapper(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        binds: Sequence[tuple[Path, str]] = (),
        writable: bool = True,
    ) -> Path:
        """Write an executable that starts `argv` plus its own arguments in the jail.

        For runtimes that insist on starting a program themselves; `binds` are (host path, path inside), read-only.
        """


class Door(Protocol):
    """The gateway of one attempt as its provider needs it."""

    @property
    def token(self) -> str:
        """The dummy token that agents present instead of a key."""

    @property
    def socket(self) -> Path:
        """The unix socket the gateway listens on."""

    @property
    def attempt(self) -> int:
        """The attempt that every record of a run names in `data.attempt`."""

    @property
    def usage(self) -> Usage:
        """What the attempt has used so far, counted on the wire; a run's own share is the difference."""

    def number(self) -> int:
        """Take the next call number; model and tool calls of one attempt share one sequence."""

    @property
    def busy(self) -> bool:
        """Tell whether a model is being asked just now: silence of the runtime then means nothing."""

    @property
    def failure(self) -> GatewrightError | None:
        """Say why no further call can succeed in this run (a ProviderError), None as long as one may."""

    @property
    def last_error(self) -> GatewrightError | None:
        """Say what the API made of the last call where that was an error, also one that a runtime can get over."""

    async def failed(self) -> GatewrightError:
        """Wait until there is a `failure`, and give it."""

    def begin(self, limits: Limits) -> AbstractContextManager[None]:
        """Keep one run's own limits while it lasts: `turns` model calls, `idle_seconds` of a silent model.

        Forgets the `failure` of the run before, unless it was a budget's.
        """


class Upstream(msgspec.Struct, frozen=True):
    """Where the gateway sends one dialect, and with which key; never leaves the worker's parent process."""

    dialect: str  # a name in runners.gateway.server.DIALECTS
    base_url: str  # as the vendor writes it: with `/v1` for openai, without for the others; azure and bedrock need one
    api_key: str = ""
    auth_token: str = ""  # OAuth bearer token instead of a key
    provider: str = ""  # what records call it
    access_key: str = ""  # of AWS: requests are signed, and `api_key` is the secret that belongs to it
    session_token: str = ""  # of AWS, with temporary credentials
    region: str = ""  # of AWS

    def __repr__(self) -> str:
        return f"Upstream({self.dialect!r}, {self.base_url!r})"


class Provider(Protocol):
    """An adapter that drives one agent runtime or model API."""

    name: str

    async def run(self, request: Request, jail: Jail, door: Door, recorder: Recorder) -> Result:
        """Drive one request to its end; raise ProviderError where it fails, leave no process behind."""
