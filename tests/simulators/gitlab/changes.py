"""Merge requests and pushes."""

from __future__ import annotations

from tests.simulators.gitlab.access import may_merge, missing, refused
from tests.simulators.gitlab.hosting import ZERO
from tests.simulators.gitlab.talk import Talk
from tests.simulators.gitlab.things import MergeRequest
from tests.simulators.gitlab.world import LEVELS, Project, User


class Changes(Talk):
    """What becomes of merge requests."""

    def open_merge_request(
        self, project: Project, by: User, title: str, text: str | None, source: str, target: str
    ) -> MergeRequest:
        """Open a merge request between two branches of the project."""
        self.check_texts(title, text)
        sha, base = self._hosting.branch(project, source), self._hosting.branch(project, target)
        if sha is None or base is None or source == target:
            wrong = "source_branch" if sha is None else "target_branch"
            words = "You can't use same project/branch for source and target" if source == target else "does not exist"
            raise refused(400, {wrong: [words]})
        for other in project.merge_requests.values():
            if other.source == source and other.target == target and other.state == "opened":
                raise refused(409, [f"Another open merge request already exists for this source branch: !{other.iid}"])
        left, actions = self._clean(text)
        now, iid = self._world.now(), max([0, *project.merge_requests]) + 1
        at = self._hosting.base(project, base, sha)
        mr = MergeRequest(self._world.next_id(), iid, project, title, left, by, now, now)
        mr.source, mr.target, mr.sha, mr.base_sha = source, target, sha, at
        project.merge_requests[iid] = mr
        self._hosting.set_ref(project, f"refs/merge-requests/{iid}/head", sha)
        self.tell(mr, by, "open")
        self.starts(mr, by)
        self._carry_out(mr, by, actions)
        return mr

    def starts(self, mr: MergeRequest, by: User) -> None:
        """Start the pipeline of a merge request that was opened, which no push option keeps it from."""
        raise NotImplementedError

    def approve(self, mr: MergeRequest, by: User, sha: str | None = None) -> None:
        """Approve; with `sha` only if that is the head."""
        self._may_approve(mr, by)
        if sha is not None and sha != mr.sha:
            raise refused(409, f"SHA does not match HEAD of source branch: {mr.sha}")
        if any(who is by for who, _ in mr.approvals):
            raise refused(401, "401 Unauthorized")
        mr.approvals.append((by, self._world.now()))
        self.say(mr, by, "approved this merge request")
        enough = len(mr.approvals) >= mr.project.approvals_required
        self.tell(mr, by, "approved" if enough else "approval")

    def _may_approve(self, mr: MergeRequest, by: User) -> None:
        own = by is mr.author and not mr.project.author_approves
        if own or mr.state != "opened" or mr.project.level(by) < LEVELS["developer"]:
            raise refused(401, "401 Unauthorized")

    def unapprove(self, mr: MergeRequest, by: User) -> None:
        """Take an approval back."""
        kept = [(who, at) for who, at in mr.approvals if who is not by]
        if len(kept) == len(mr.approvals):
            raise missing()
        was = len(mr.approvals) >= mr.project.approvals_required
        mr.approvals = kept
        self.say(mr, by, "unapproved this merge request")
        is_now = kept and len(kept) >= mr.project.approvals_required
        self.tell(mr, by, "unapproved" if was and not is_now else "unapproval")

    def merge(self, mr: MergeRequest, by: User, sha: str | None = None) -> None:
        """Merge, and announce the push that it is."""
        if not may_merge(by, mr.project, mr.target):
            raise refused(401, "401 Unauthorized")
        if mr.state != "opened" or mr.draft or len(mr.approvals) < mr.project.approvals_required:
            raise refused(405, "405 Method Not Allowed")
        if sha is not None and sha != mr.sha:
            raise refused(409, f"SHA does not match HEAD of source branch: {mr.sha}")
        before = self._hosting.refs(mr.project)
        words = f"Merge branch '{mr.source}' into '{mr.target}'\n\n{mr.title}\n\nSee merge request "
        words += f"{mr.project.full_path}!{mr.iid}"
        mr.merge_sha = self._hosting.merge(mr.project, mr.target, mr.sha, words)
        mr.state, mr.merged, mr.merged_by, mr.updated = "merged", self._world.now(), by, self._world.now()
        self.say(mr, by, "merged")
        self.tell(mr, by, "merge", {"state_id": (1, 3)})
        self.pushed(mr.project, by, before)

    def pushed(self, project: Project, by: User, before: dict[str, str], options: tuple[str, ...] = ()) -> None:
        """Announce what a push changed, move the merge requests of the branches, and run what is to be run."""
        after = self._hosting.refs(project)
        for ref in sorted(before.keys() | after.keys()):
            old, new = before.get(ref, ZERO), after.get(ref, ZERO)
            if old != new and ref.startswith(("refs/heads/", "refs/tags/")):
                trigger = "push_events" if ref.startswith("refs/heads/") else "tag_push_events"
                self._courier.emit(project, trigger, self._payloads.push_event(project, by, ref, old, new))
                self._move(project, by, ref.removeprefix("refs/heads/"), old, new)
            if new not in (old, ZERO) and ref.startswith("refs/heads/"):
                self.runs(project, by, ref.removeprefix("refs/heads/"), new, skipped="ci.skip" in options)

    def runs(self, project: Project, by: User, branch: str, sha: str, *, skipped: bool) -> None:
        """Start the pipelines of a pushed commit."""
        raise NotImplementedError

    def _move(self, project: Project, by: User, branch: str, old: str, new: str) -> None:
        for mr in project.merge_requests.values():
            if mr.source != branch or mr.state != "opened":
                continue
            if new == ZERO:
                self.set_state(mr, by, "closed")
                continue
            mr.sha, mr.updated = new, self._world.now()
            target = self._hosting.branch(project, mr.target)
            mr.base_sha = self._hosting.base(project, target, new) if target else mr.base_sha
            self._hosting.set_ref(project, f"refs/merge-requests/{mr.iid}/head", new)
            self.say(mr, by, f"added 1 commit {new[:8]}")
            self.tell(mr, by, "update", oldrev=old)
            if project.resets_approvals and mr.approvals:
                mr.approvals = []  # announced in the name of whoever pushed; no system note
                self.tell(mr, by, "unapproved", system=True, system_action="approvals_reset_on_push")
