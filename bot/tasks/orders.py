"""Task -> the order of one attempt; pure."""

from __future__ import annotations

import re
from typing import Final

from bot.audit.chain import Link
from bot.audit.redact import redacted
from bot.forges.protocol import Home
from bot.model.order import Order
from bot.model.state import Step
from bot.model.task import Task
from bot.residency import stand_ins
from bot.settings import Settings
from bot.tasks.budget import Means, Today, day_of, means
from bot.tasks.teams import budget_for, team_of

SLUG_LIMIT: Final = 40
NOT_SLUG: Final = re.compile(r"[^a-z0-9]+")


def branch_name(task: Task, title: str) -> str:
    """Name the branch of the present generation: `gatewright/42-k7f3qd-retry-the-client`, then `...-2`."""
    words = (
        NOT_SLUG.sub("-", redacted(title).lower()).strip("-")[:SLUG_LIMIT].strip("-")
        if task.policy.branch_titles
        else ""
    )
    slug = words or "change"
    again = f"-{task.generation}" if task.generation > 1 else ""
    return f"gatewright/{task.origin.task}-{slug}{again}"


def make_order(  # noqa: PLR0913 - an order says everything an attempt may know
    task: Task,
    step: Step,
    *,
    number: int,
    title: str,
    home: Home,
    genesis: str,
    tail: Link,
    checkpoint: str = "",
    settings: Settings,
    now_ms: int,
    today: Today = Today(),  # noqa: B008 - frozen
) -> Order:
    """Say everything an attempt may know; raises Refused where a budget is used up already."""
    phase = step.phase
    budget = budget_for(settings, task.origin.repo)
    may = means(budget, task, today, now_ms) if phase else Means((), budget.phase_minutes * 60.0)
    kind = "refs/gatewright/audit/" if settings.audit.audit_ref == "ref" else "refs/heads/gatewright-audit/"
    return Order(
        task=task.origin.task,
        attempt=number,
        step=step,
        round=task.rounds + 1 if step in (Step.QA, Step.QA_FIXER) else 1,
        instance=settings.server.instance,
        repo=task.origin.repo,
        clone_url=home.clone_url,
        issue=task.origin.issue,
        title=title,
        issue_blob=task.issue_blob,
        base_branch=task.origin.base_branch,
        base_commit=task.base_commit,
        branch=task.branch or branch_name(task, title),
        head=task.head,
        held_blob=task.held,
        scope_approved=task.scope_approved,
        policy=task.policy,
        server_policy_sha256=settings.policy.sha256(),
        model=task.profile.model(phase) if phase else "",
        fallbacks=stand_ins(task.policy, settings, task.profile.model(phase), team_of(settings, task.origin.repo))
        if phase
        else (),
        allowances=may.allowances,
        day=day_of(now_ms),
        spec=task.spec,
        plan=task.plan,
        feedback=task.feedback,
        verdict_blob=task.verdict.commitment if task.verdict else "",
        genesis=genesis,
        journal_size=tail.seq + 1,
        journal_head=tail.hash,
        audit_ref=f"{kind}{task.origin.task}",
        wall_seconds=may.wall_seconds,
        turns=budget.turns,
        issued_ms=now_ms,
        wall_scope=may.wall_scope,
        checkpoint=checkpoint,
    )
