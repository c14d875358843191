"""From a label's delivery to the spec's comment, less what the model took: `python -m tests.bench.label`.

The whole house runs as users start it (`gatewright up`), on the simulated GitHub and with a model that answers at once.
The clock starts when the signed delivery is handed to the wire and stops when the comment of the spec gate is posted.
What the model took is what the journal says of the attempt's calls; all else is ours, and the simulator's.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bot.audit.kinds import ModelResult
from bot.audit.record import decode
from tests.bench.figures import Figure, machine, percentiles
from tests.flow.answers import recorded, sample_files
from tests.flow.house import SECRET, House
from tests.simulators.github import GitHubSimulator
from tests.simulators.github.hooks import Delivery
from tests.simulators.github.people import Person
from tests.simulators.models import ModelServer, Script, Step

ISSUES = 8  # the first one makes the mirror and is shown by itself
AIM_MS = 300.0
NEEDS = ("bwrap", "socat", "setpriv", "git")
PATIENCE = 30.0
REST = 2.0  # seconds; an issue brings two comments, and on average one a second may be posted


class Span(msgspec.Struct, frozen=True):
    """One issue: milliseconds from label to comment, and the model's part of them."""

    whole: float
    model: float

    @property
    def ours(self) -> float:
        """What is left when the model's part is taken off."""
        return self.whole - self.model


class Stamps:
    """Notes when GitHub tells of a label, and when it tells of the gate comment."""

    def __init__(self) -> None:
        self._labelled: dict[int, float] = {}
        self._shown: dict[int, float] = {}
        self._change = threading.Condition()

    def keep(self, delivery: Delivery) -> bool:
        """Look at a delivery on its way out; all are sent."""
        now = time.perf_counter()
        payload: dict[str, Any] = delivery.payload
        number = payload.get("issue", {}).get("number", 0)
        with self._change:
            if (delivery.event, delivery.action) == ("issues", "labeled"):
                self._labelled[number] = now
            elif delivery.event == "issue_comment" and "gate.spec" in payload["comment"]["body"]:
                self._shown[number] = now
            self._change.notify_all()
        return True

    def span(self, number: int) -> float:
        """Wait for an issue's comment; milliseconds since its label."""
        with self._change:
            if not self._change.wait_for(lambda: number in self._shown, PATIENCE):
                raise TimeoutError(f"issue {number} got no spec within {PATIENCE:.0f} s")
            return (self._shown[number] - self._labelled[number]) * 1e3


async def measure(issues: int) -> list[Span]:
    """Label issues one after the other."""
    answer = recorded()["spec"][0][-1]["text"]
    stamps = Stamps()
    with _folder() as folder:
        async with GitHubSimulator() as github, ModelServer(Script([Step(text=answer, repeat=0)])) as models:
            github.courier.keep = stamps.keep
            repo = github.repository("pay/core", sample_files())
            github.install(repo)
            tom = github.user("tom", repo, "write")
            async with House(folder, _tables(github, models)) as house:
                github.hook(f"{house.url}/webhooks/github", SECRET)
                return [await _span(github, tom, stamps, house) for _ in range(issues)]


async def _span(github: GitHubSimulator, tom: Person, stamps: Stamps, house: House) -> Span:
    issue = tom.opens_issue("Retry the payment client with back-off", "Try again. Never charge twice.")
    await github.settled()
    await asyncio.sleep(REST)
    tom.labels_issue(issue, "gatewright")
    try:
        whole = await asyncio.to_thread(stamps.span, issue)
    except TimeoutError as error:
        raise RuntimeError(house.said()) from error
    return Span(whole, await _model_ms(house, issue))


@contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder that the jail's own user can pass through to its worktree."""
    folder = Path(tempfile.mkdtemp(prefix="gw-bench-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _tables(github: GitHubSimulator, models: ModelServer) -> dict[str, dict[str, Any]]:
    app = github.table(secrets=(SECRET,))
    return {
        "github": {
            "api_url": app.api_url,
            "web_url": app.web_url,
            "app_id": app.app_id,
            "private_key": app.private_key,
            "webhook_secrets": [SECRET],
        },
        "endpoints.instant": {"base_url": f"{models.url}/v1", "api_key": models.key},
        "profile": dict.fromkeys(("spec", "planning", "coding", "qa", "qa_fixer"), "instant:instant-1"),
    }


async def _model_ms(house: House, issue: int) -> float:
    task = next(name for name in await house.index.all_tasks() if name.startswith(f"{issue}-"))
    records = [decode(line) for line in await house.shelf.journals.lines(task)]
    results = (msgspec.convert(record.data, ModelResult) for record in records if record.kind == "model.result")
    return float(sum(result.dur_ms for result in results))


def run() -> Sequence[Figure]:
    """Measure and print."""
    missing = [name for name in NEEDS if not shutil.which(name)]
    if missing:
        print(f"label to spec comment: skipped, {', '.join(missing)} not installed")
        return ()
    first, *spans = asyncio.run(measure(ISSUES))
    ours, worst = percentiles([span.ours for span in spans])
    model = statistics.median(span.model for span in spans)
    print(f"label to spec comment, {len(spans)} issues after a first one; {machine()}")
    print(f"{'':12}{'ours p50':>10}{'p95':>8}{'min':>8}{'model':>8}   ms")
    print(f"{'warm':12}{ours:>10.0f}{worst:>8.0f}{min(s.ours for s in spans):>8.0f}{model:>8.0f}")
    print(f"{'first':12}{first.ours:>10.0f}{'':>16}{first.model:>8.0f}   makes the mirror, asks for the first token")
    return (Figure("label to spec comment, over the model", ours, "ms", AIM_MS, note=f"p95 {worst:.0f}"),)


if __name__ == "__main__":
    run()
