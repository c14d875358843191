"""Every text the bot writes to a forge; each ends in the hidden marker of its purpose."""

from __future__ import annotations

import difflib
import re
from typing import Any, Final

import msgspec

from bot.audit.redact import redacted
from bot.known_secrets import known_secrets
from bot.model.approval import SHOWN
from bot.model.documents import parse_plan, parse_spec
from bot.model.errors import GatewrightError
from bot.model.event import Repo
from bot.model.evidence import Met, Plan, QaReport, Spec
from bot.model.gates import Emergency
from bot.model.hygiene import Removed
from bot.model.hygiene_characters import Hidden
from bot.model.manners import Manners
from bot.model.role import Role
from bot.model.state import Gate
from bot.model.task import Task
from bot.model.verbs import CATALOGUE
from bot.policy.rules import RULES, review_due
from bot.reports.marker import Place, marker
from bot.reports.neutral import Markdown, bare
from bot.reports.render import render
from bot.reports.stages import drafted_by, elapsed, spent, stages
from bot.reports.tables import alarms, broken, grouped, table
from bot.reports.views import Approvers, Caps, Problem, ScopeItem, Subject, Waits
from bot.settings import Settings

_LOGIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?(?:\[bot\])?")
_STATE_PREFIX: Final = re.compile(r"^(?:\s*[\[(]?(?:draft|wip)\b[\])]?\s*[:-]?\s*)+", re.IGNORECASE)
_MOST_DIFF_LINES: Final = 2_000  # comparing takes quadratic time
_FOLDED: Final = 32  # hex digits of a digest inside a fold
NOWHERE: Final = Subject()
NOTHING: Final = Waits()


class Words(msgspec.Struct, frozen=True):
    """The bot's voice on one forge: it shows the command form that works there."""

    manners: Manners
    bot_name: str = "gatewright"
    style: str = "bare"
    public_url: str = ""
    min_role: str = "write"
    marker_key: bytes = b""
    instance: str = ""
    caps: Caps = Caps()  # what one task may use
    secrets: tuple[str, ...] = ()  # that it never says

    @classmethod
    def of(cls, settings: Settings, manners: Manners, key: bytes = b"", caps: Caps = Caps()) -> Words:  # noqa: B008
        """Take name, style and role from the settings; `key` is what the markers of this instance are made with."""
        trigger = settings.trigger
        server, role = settings.server, settings.policy.min_role
        named = (trigger.bot_name, trigger.command_style, server.public_url)
        return cls(manners, *named, role, key, server.instance, caps, known_secrets(settings))

    def say(self, verb: str, argument: str = "") -> Markdown:
        """Write a command in the form that works here."""
        is_bare = self.style == "bare" and self.manners.takes_bare
        head = f"/{verb}" if is_bare else f"/{self.bot_name} {verb}"
        return Markdown(f"{head} {argument}".rstrip())

    def marker(self, task: Task, kind: str, rev: int | str = 0) -> str:
        """Name one comment of a task, for finding it again."""
        place = Place.of(self.instance, task.origin.repo, task.origin.issue)
        return marker(self.marker_key, place, task.origin.task, kind, rev)

    def place_marker(self, repo: Repo, issue: int, kind: str, rev: int | str = 0) -> str:
        """Name one comment on an issue that has no task."""
        return marker(self.marker_key, Place.of(self.instance, repo, issue), "none", kind, rev)

    def gate(  # noqa: PLR0913 - a gate shows this much
        self,
        task: Task,
        gate: Gate,
        artifact_text: str,
        digest: str,
        until_ms: int,
        *,
        rev: int = 0,
        spec_text: str = "",
        previous_text: str = "",
        qa: QaReport | None = None,
        subject: Subject = NOWHERE,
        approvers: Approvers = Approvers(),  # noqa: B008 - frozen
        removed: tuple[Removed, ...] = (),
        findings: tuple[ScopeItem, ...] = (),
        count: int = 0,
    ) -> str:
        """Ask for a decision; the plan gate needs `spec_text`, the change gate `qa`, the scope gate `findings`.

        `removed` is what was hidden in the issue, `count` the number of all findings, listed or not.
        """
        values: dict[str, Any] = {"previous": _difference(previous_text, artifact_text), "text": artifact_text}
        if gate is Gate.SPEC:
            values["spec"] = parse_spec(artifact_text)
        elif gate is Gate.PLAN:
            values["spec"] = parse_spec(spec_text)
            values["plan"] = parse_plan(artifact_text, values["spec"])
        elif gate is Gate.SCOPE:
            values |= {"groups": grouped(findings), "listed": len(findings), "count": max(count, len(findings))}
        else:
            values["qa"] = qa
        artifact = task.artifact(gate)
        rev = rev or (artifact.rev if artifact else task.scopes if gate is Gate.SCOPE else task.generation)
        return self._write(
            f"gate_{gate}",
            task,
            f"gate.{gate}",
            rev,
            **values,
            gate=gate,
            rev=rev,
            artifact=artifact,
            digest=digest[:SHOWN],
            digest_long=digest[:_FOLDED],
            until_ms=until_ms,
            approvers=approvers,
            gate_role=self._role(task, gate),
            removed=tuple(each for each in removed if each.kind is not Hidden.FOLD),
            folds=tuple(each for each in removed if each.kind is Hidden.FOLD),
            subject=subject,
            drafted=drafted_by(task, gate),
        )

    def superseded(self, task: Task, gate: Gate, rev: int, text: str = "", *, by: int = 0) -> str:
        """Fold a gate comment whose draft was replaced; its marker stays."""
        return self._write("superseded", task, f"gate.{gate}", rev, gate=gate, rev=rev, by=by or rev + 1, text=text)

    def progress(
        self,
        task: Task,
        *,
        now_ms: int,
        subject: Subject = NOWHERE,
        step_titles: tuple[str, ...] = (),
        waits: Waits = NOTHING,
    ) -> str:
        """Show how far a task has come; the one comment that is edited in place."""
        return self._write(
            "progress",
            task,
            "progress",
            0,
            **_standing(task, now_ms),
            subject=subject,
            step_titles=step_titles,
            waits=waits,
        )

    def refused(self, task: Task, *, event_id: str, login: str, verb: str, error: GatewrightError) -> str:
        """Tell one person why a command did not count and what to do now."""
        return self._write("refused", task, "reply", event_id, login=_mention(login), verb=verb, error=error)

    def status(self, task: Task, *, event_id: str = "0", now_ms: int | None = None, waits: Waits = NOTHING) -> str:
        """Answer `status`."""
        at = task.changed_ms if now_ms is None else now_ms
        return self._write("status", task, "reply", event_id, **_standing(task, at), subject=NOWHERE, waits=waits)

    def help(self, task: Task, *, event_id: str = "0") -> str:
        """Answer `help`."""
        return self._write("help", task, "reply", event_id, rows=CATALOGUE)

    def opened_already(self, task: Task, *, subject: Subject = NOWHERE) -> str:
        """Answer a second label."""
        standing = _standing(task, task.changed_ms)
        return self._write("opened_already", task, "again", 0, **standing, subject=subject, waits=NOTHING)

    def not_opened(self, repo: Repo, issue: int, error: GatewrightError, *, label: str) -> str:
        """Say why a label opened no task; its marker is `place_marker(repo, issue, "not-opened", error.code)`."""
        known = table("not_opened").get(error.code, {})
        body = self._rendered(
            "not_opened",
            label=label,
            code=error.code,
            why=known.get("why") or error.what,
            detail=(error.why or error.what) if known else error.why,
            fix=known.get("fix") or error.fix,
        )
        return f"{body}\n\n{self.place_marker(repo, issue, 'not-opened', error.code)}"

    def voided(self, task: Task, gate: Gate, reason: str, *, rev: int) -> str:
        """Say in one line which approvals no longer count, why, and what happens next."""
        known = table("voids")[reason]
        return self._write("voided", task, "voided", rev, gate=gate, why=known["why"], next=known["next"])

    def emergency(self, task: Task, *, rev: int, who: str = "") -> str:
        """Say loudly that somebody broke the glass: the `rev`-th time in this task, counted from one."""
        broke = task.emergencies[rev - 1]
        return self._write(
            "emergency",
            task,
            "emergency",
            rev,
            gate=broke.gate,
            digest=broke.digest[:SHOWN],
            due_ms=_due(task.emergencies[:rev], broke) or broke.review_due_ms,
            who=who,
            is_broken=_due(task.emergencies[:rev], broke) > 0,
        )

    def blocked(self, task: Task, problem: Problem, *, now_ms: int, subject: Subject = NOWHERE) -> str:
        """Say why nothing goes on, and the ways out."""
        return self._write(
            "blocked",
            task,
            "blocked",
            task.blocks,
            **_standing(task, now_ms),
            problem=problem,
            subject=subject,
        )

    def closed(self, task: Task, *, now_ms: int, subject: Subject = NOWHERE) -> str:
        """Say how a task ended and where its evidence lies."""
        return self._write("closed", task, "closed", 0, **_standing(task, now_ms), subject=subject)

    def change_title(self, task: Task, spec: Spec) -> str:
        """Make a title that is neither a command nor a mark of state (`Draft:`) nor a reference."""
        words = (
            _STATE_PREFIX.sub("", bare(redacted(spec.title, self.secrets), 120)).lstrip("/@#! ")
            or f"Change for task {task.origin.task}"
        )
        return f"{words} ({task.origin.task})"

    def change_body(
        self,
        task: Task,
        *,
        spec: Spec,
        plan: Plan,
        qa: QaReport | None,
        now_ms: int,
        digest: str = "",
        subject: Subject = NOWHERE,
        approvers: Approvers | None = None,
    ) -> str:
        """Describe the change: what the harness found, how to decide, who approved, what models say, what it cost."""
        return self._write(
            "change_body",
            task,
            "pull",
            task.generation,
            **_standing(task, now_ms),
            spec=spec,
            plan=plan,
            qa=qa,
            texts={criterion.id: criterion.text for criterion in spec.criteria},
            met=sum(verdict.met is Met.MET for verdict in qa.criteria) if qa else 0,
            digest=digest[:SHOWN],
            subject=subject,
            approvers=approvers,
            gate_role=self._role(task, Gate.CHANGE),
        )

    def _role(self, task: Task, gate: Gate) -> str:
        """Name the weakest role that may approve: commands count from one role on, gates may ask for more."""
        roles = [Role(self.min_role), Role(task.policy.min_role), Role(task.policy.rule(gate.value).min_role)]
        return max(roles, key=list(Role).index).value

    def _write(self, template: str, task: Task, kind: str, purpose_rev: int | str, /, **values: Any) -> str:
        url = f"{self.public_url.rstrip('/')}/tasks/{task.origin.task}" if self.public_url else ""
        body = self._rendered(template, task=task, page_url=url, broken=broken(task), alarms=alarms(task), **values)
        return f"{body}\n\n{self.marker(task, kind, purpose_rev)}"

    def _rendered(self, template: str, **values: Any) -> str:
        body = render(template, say=self.say, manners=self.manners, min_role=self.min_role, caps=self.caps, **values)
        return redacted(body, self.secrets)


def _standing(task: Task, now_ms: int) -> dict[str, Any]:
    return {
        "stages": stages(task, now_ms),
        "spent": spent(task, now_ms),
        "elapsed": elapsed(task, now_ms),
        "at_ms": now_ms,
        "unmet": [RULES[name].asks for name in task.unmet],
    }


def _due(so_far: tuple[Emergency, ...], last: Emergency) -> int:
    same = [each for each in so_far if each.gate is last.gate and each.digest == last.digest]
    return review_due((each.person, each.review_due_ms) for each in same)


def _mention(login: str) -> Markdown | str:
    """Mention exactly the one person a reply is for; anything that is no plain login stays words."""
    return Markdown(f"@{login}") if _LOGIN.fullmatch(login) else login


def _difference(before: str, after: str) -> str:
    old, new = before.splitlines(), after.splitlines()
    if not before or before == after or max(len(old), len(new)) > _MOST_DIFF_LINES:
        return ""
    return "\n".join(difflib.unified_diff(old, new, "before", "now", n=1, lineterm=""))
