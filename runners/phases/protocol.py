"""What a phase is given, what it gives back, and what all of them do alike."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import jinja2
import msgspec

from bot.model.documents import DocumentError, extract, normalise
from bot.model.errors import GatewrightError
from bot.model.hygiene import strip, strip_line
from bot.model.hygiene_characters import seen, spelled
from bot.model.order import Order
from runners.providers.protocol import Access, Jail, Recorder, Result
from runners.quality.trace import Work

PROMPTS: Final = Path(__file__).parent / "prompts"
DRAFT_TRIES: Final = 3

T = TypeVar("T")


class Issue(msgspec.Struct, frozen=True):
    """The issue as it was when the task was opened; hostile text."""

    title: str
    body: str
    author: str
    is_outsider: bool = False  # the author may not give us work

    @property
    def seen(self) -> Issue:
        """Reduce it to what people see of it."""
        return msgspec.structs.replace(self, title=strip_line(self.title).text, body=strip(self.body).text)


class Made(msgspec.Struct, frozen=True):
    """A commit of the work with the source digest of its tree."""

    commit: str
    source_sha256: str


class Change(msgspec.Struct, frozen=True):
    """What an agent left in the worktree, as trusted git sees it; with findings it may not be committed."""

    files: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


class Beside(msgspec.Struct, frozen=True):
    """Something that the base commit only names: agents see its content, unless `why` says why not."""

    kind: str  # submodules, lfs
    path: str  # empty: whatever there is of the kind
    why: str = ""


class Bench(Protocol):
    """The tools of one attempt (runners/workbench.py)."""

    @property
    def order(self) -> Order:
        """What was ordered."""

    @property
    def recorder(self) -> Recorder:
        """Where to report."""

    @property
    def head(self) -> str:
        """The newest commit of the work; the base commit before the first."""

    def remaining(self) -> float:
        """Seconds left of the phase's wall clock."""

    def read(self, commitment: str) -> bytes:
        """Read a blob."""

    def clean(self, content: bytes) -> bytes:
        """Cut secrets out, as will be done before storing, so that digests can be taken of what is stored."""

    async def ask(
        self, prompt: str, *, access: Access, schema: dict[str, Any] | None = None, jail: Jail | None = None
    ) -> Result:
        """Let the phase's model work on the worktree, or on what another jail holds, until it has answered."""

    async def changes(self) -> Change:
        """Stage and review what the agent did."""

    async def commit(self, subject: str, body: str, *, step: int, label: str) -> Made:
        """Commit what is staged; `label` is the Gatewright-Step trailer."""

    async def reset(self) -> None:
        """Throw away what is not committed."""

    async def deliver(self) -> bool:
        """Push the branch up to `head`; keep it back and answer False where people have to decide on its scope."""

    async def secrets(self) -> tuple[str, ...]:
        """Say which secrets stand in files that are not on the forge yet, by place and kind."""

    async def unburden(self) -> bool:
        """Make the commits that are on no forge anew as one, where a secret is in their history alone; tell whether."""

    async def push(self) -> None:
        """Push the branch up to `head`, fast-forward only; raise GW-SCOPE-UNDECIDED where people have to decide."""

    async def work(self) -> tuple[Work, ...]:
        """List the commits between base and head with their steps, oldest first."""

    def checkout(self, *, has_door: bool) -> AbstractAsyncContextManager[Jail]:
        """Open a jail over a fresh tree of `head` that no agent has touched; `has_door` lets a model be asked in it."""

    async def source(self) -> str:
        """Compute the source digest of `head`."""

    @property
    def beside(self) -> tuple[Beside, ...]:
        """List the submodules and the files of Git LFS of the base commit."""

    async def base_paths(self) -> tuple[str, ...]:
        """List every path of the base commit."""

    async def base_file(self, path: str) -> bytes | None:
        """Read a file of the base commit."""

    async def diff(self) -> str:
        """Show what changed between base and head, bounded."""

    async def seal(self) -> Made:
        """Commit the evidence on top of `head`."""

    async def archive(self) -> None:
        """Push the evidence to the audit ref."""


class Phase(Protocol):
    """One module per phase has a function `run` like this."""

    async def __call__(self, bench: Bench) -> Made | None:
        """Do the phase's work and answer with the commit it ended on, if it is about one."""


@functools.cache
def _templates() -> jinja2.Environment:
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PROMPTS),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - prompts and Markdown, never HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_seen,
    )
    templates.filters |= {"data": as_data, "spelled": spelled}
    return templates


def _seen(value: Any) -> Any:
    """Let nothing into a prompt that people could not see, wherever it comes from."""
    return seen(value) if isinstance(value, str) else value


def prompt(name: str, **values: Any) -> str:
    """Fill in one of the prompt files."""
    return _templates().get_template(name).render(**values)


def as_data(text: str, kind: str) -> str:
    """Mark where foreign text begins and ends, by a mark its author cannot have known while writing it."""
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"<{kind} id={mark}>\n{text.rstrip()}\n</{kind} id={mark}>"


def example(name: str) -> str:
    """Read a document that shows the form of its kind: `spec.md` or `plan.md`."""
    return (importlib.resources.files("bot.model") / "formats" / name).read_text("utf-8")


async def draft(bench: Bench, asked: str, parse: Callable[[str], T]) -> tuple[str, T]:
    """Have a document written; what does not parse is given back with the reason, twice at most."""
    text, wrong = "", ""
    question = asked
    for _ in range(DRAFT_TRIES):
        result = await bench.ask(question, access=Access.READ)
        text = normalise(bench.clean(extract(result.text).encode("utf-8", "replace")).decode())
        try:
            return text, parse(text)
        except DocumentError as error:
            wrong = str(error)
            question = prompt("again.md", asked=asked, draft=text, wrong=wrong)
    raise GatewrightError(
        "GW-DRAFT-UNREADABLE",
        f"the model wrote no document that can be read, in {DRAFT_TRIES} tries",
        why=wrong,
        fix="`retry`, name another model for this phase, or write it yourself with `edit`",
    )


def texts(bench: Bench, commitments: Iterable[str]) -> list[str]:
    """Read blobs as text."""
    return [bench.read(commitment).decode("utf-8", "replace") for commitment in commitments]


def said(bench: Bench, commitments: Iterable[str]) -> list[str]:
    """Read what people said in comments, reduced to what other people see of it."""
    return [strip(text).text for text in texts(bench, commitments)]
