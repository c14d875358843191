"""Git repositories of the simulated GitLab: made and read by git itself, served by its own `git http-backend`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.simulators.gitlab.access import admits
from tests.simulators.gitlab.world import Project, User, World

SERVICES: Final = ("git-upload-pack", "git-receive-pack")
ZERO: Final = "0" * 40
HOOK: Final = Path(__file__).with_name("pre-receive.sh")
HIDDEN: Final = ("refs/merge-requests", "refs/keep-around", "refs/pipelines")  # GitLab's own
PUSH_OPTIONS: Final = "sim-push-options"  # written by the hook
MADE_BY: Final = {"NAME": "Root", "EMAIL": "root@example.com"}


@dataclass(frozen=True)
class Commit:
    """One commit, read."""

    id: str
    parents: tuple[str, ...]
    author: tuple[str, str, str]  # name, address, ISO time
    committer: tuple[str, str, str]
    message: str

    @property
    def title(self) -> str:
        """Give the first line."""
        return self.message.partition("\n")[0]


class Hosting:
    """The git side of the world; a repository lies under its project's id."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._root = world.root / "git"
        self._root.mkdir(parents=True, exist_ok=True)
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(world.root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }

    def directory(self, project_id: int) -> Path:
        """Name where a repository lies."""
        return self._root / f"{project_id}.git"

    def create(self, project: Project, files: Mapping[str, str | bytes]) -> None:
        """Make a bare repository with one commit of these files on the default branch."""
        self.git(project, "init", "--quiet", "--bare", f"--initial-branch={project.default_branch}", str(project.git))
        self.git(project, "config", "http.receivepack", "true")
        self.git(project, "config", "uploadpack.allowAnySHA1InWant", "true")
        self.git(project, "config", "receive.advertisePushOptions", "true")
        for ref in HIDDEN:
            self.git(project, "config", "--add", "receive.hideRefs", ref)
        hook = project.git / "hooks" / "pre-receive"
        shutil.copy(HOOK, hook)
        hook.chmod(0o755)
        self.commit(project, project.default_branch, files, "Begin", "")

    def commit(self, project: Project, branch: str, files: Mapping[str, str | bytes], message: str, author: str) -> str:
        """Commit files on a branch, on top of what is there; a new branch begins at the default one."""
        ref, who = f"refs/heads/{branch}", author or "Root <root@example.com>"
        text = message.encode()
        stream = [f"commit {ref}\ncommitter {who} 1700000000 +0000\n".encode()]
        stream.append(b"data %d\n%s\n" % (len(text), text))
        if parent := self.branch(project, branch) or self.branch(project, project.default_branch):
            stream.append(b"from %s\n" % parent.encode())
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            stream.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
        self.git(project, "fast-import", "--quiet", stdin=b"".join(stream))
        return self.branch(project, branch) or ZERO

    def git(self, project: Project, *args: str, stdin: bytes = b"", cwd: Path | None = None) -> bytes:
        """Run git in a repository; raise CalledProcessError with its words."""
        place = {} if cwd else {"GIT_DIR": str(project.git)}
        who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in MADE_BY.items()}
        command = ("git", *args)
        env = self._env | place | who
        done = subprocess.run(command, input=stdin, env=env, cwd=cwd, capture_output=True, check=False)
        if done.returncode:
            error = subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
            error.add_note(done.stderr.decode(errors="replace"))
            raise error
        return done.stdout

    def sha(self, project: Project, rev: str) -> str | None:
        """Name the object a revision means, if there is one."""
        try:
            return self.git(project, "rev-parse", "--verify", "--quiet", "--end-of-options", rev).decode().strip()
        except subprocess.CalledProcessError:
            return None

    def branch(self, project: Project, name: str) -> str | None:
        """Name the head of a branch."""
        return self.sha(project, f"refs/heads/{name}")

    def resolve(self, project: Project, rev: str) -> str | None:
        """Name the commit that a branch, tag or commit id means."""
        tries = (f"refs/heads/{rev}", f"refs/tags/{rev}", rev)
        return next((sha for name in tries if (sha := self.sha(project, f"{name}^{{commit}}"))), None)

    def refs(self, project: Project) -> dict[str, str]:
        """List all refs."""
        listed = self.git(project, "for-each-ref", "--format=%(refname) %(objectname)").decode().split("\n")
        return dict(line.split(" ") for line in listed if line)

    def set_ref(self, project: Project, ref: str, sha: str | None) -> None:
        """Move, make or (None) delete a ref."""
        self.git(project, "update-ref", *(("-d", ref) if sha is None else (ref, sha)))

    def base(self, project: Project, one: str, other: str) -> str:
        """Name where two histories part."""
        return self.git(project, "merge-base", one, other).decode().strip()

    def entries(self, project: Project, tree: str, *, deep: bool = False) -> list[tuple[str, str, str, str]]:
        """List mode, type, id and path of what is in a directory."""
        how = ("-r", "-t") if deep else ()
        raw = self.git(project, "ls-tree", "-z", *how, tree).decode(errors="replace")
        heads = (entry.partition("\t") for entry in raw.split("\0") if entry)
        found = [(*head.split(" "), path) for head, _, path in heads]
        return [(mode, kind, oid, path) for mode, kind, oid, path in found]

    def differing(self, project: Project, one: str, other: str) -> list[tuple[str, str, str]]:
        """List the paths in which two commits differ: letter, old name, new name."""
        raw = self.git(project, "diff", "--name-status", "-M", "-z", one, other).decode(errors="replace")
        words, found = iter(raw.split("\0")[:-1]), []
        for letter in words:
            old = next(words)
            found.append((letter[0], old, next(words) if letter[0] in "RC" else old))
        return found

    def related(self, project: Project, one: str, other: str) -> bool:
        """Tell whether two commits have a history in common."""
        try:
            return bool(self.base(project, one, other))
        except subprocess.CalledProcessError:
            return False

    def log(self, project: Project, *revs: str, path: str | None = None) -> list[Commit]:
        """Read commits, newest first; with `path` only those that touched it."""
        form = "%H%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x01"
        found = self.git(project, "log", f"--format={form}", *revs, "--", *([path] if path else [])).decode(
            errors="replace"
        )
        commits = []
        for entry in found.split("\x01")[:-1]:
            head, parents, an, ae, at, cn, ce, ct, message = entry.lstrip("\n").split("\0")
            commits.append(Commit(head, tuple(parents.split()), (an, ae, at), (cn, ce, ct), message))
        return commits

    def changed(self, project: Project, commit: Commit) -> dict[str, list[str]]:
        """List the paths a commit adds, modifies and removes, as push hooks do."""
        raw = self.git(project, "diff-tree", "-r", "--root", "--no-commit-id", "--name-status", "-z", commit.id)
        words = raw.decode(errors="replace").split("\0")
        pairs = list(zip(words[::2], words[1::2], strict=False))
        names = {"added": "A", "modified": "M", "removed": "D"}
        return {name: [path for kind, path in pairs if kind == letter] for name, letter in names.items()}

    def file(self, project: Project, rev: str, path: str) -> tuple[str, bytes] | None:
        """Read a file at a revision: blob id and content."""
        sha = self.sha(project, f"{rev}:{path}")
        if sha is None or self.git(project, "cat-file", "-t", sha).strip() != b"blob":
            return None
        return sha, self.git(project, "cat-file", "blob", sha)

    def merge(self, project: Project, base: str, head: str, message: str) -> str:
        """Merge a commit into a branch with a merge commit, as the button does by default."""
        with tempfile.TemporaryDirectory(dir=self._root) as place:
            tree = Path(place) / "tree"
            self.git(project, "worktree", "add", "--quiet", "--detach", str(tree), f"refs/heads/{base}")
            self.git(project, "merge", "--quiet", "--no-ff", "-m", message, head, cwd=tree)
            merged = self.git(project, "rev-parse", "HEAD", cwd=tree).decode().strip()
            self.git(project, "worktree", "remove", "--force", str(tree))
        self.set_ref(project, f"refs/heads/{base}", merged)
        return merged

    def push_options(self, project: Project) -> tuple[str, ...]:
        """Take the options that came with the last push."""
        kept = project.git / PUSH_OPTIONS
        if not kept.exists():
            return ()
        options = tuple(kept.read_text().splitlines())
        kept.unlink()
        return options

    def serve(self, project: Project, user: User | None, request: Mapping[str, str], body: bytes) -> bytes:
        """Let `git http-backend` answer a request; the result is CGI: headers, a blank line, the body."""
        env = {
            **self._env,
            **request,
            **self._rules(project, user),
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_ADDR": "127.0.0.1",
            "SERVER_PROTOCOL": "HTTP/1.1",
        }
        if user is not None:
            env["REMOTE_USER"] = user.username
        return subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=True).stdout

    def _rules(self, project: Project, user: User | None) -> dict[str, str]:
        opened = [rule for rule in project.protected if user is not None and admits(user, project, rule, 0)]
        closed = [rule for rule in project.protected if rule not in opened]
        known: Sequence[str] = [u.email for u in self._world.users.values() if u.state == "active"]
        return {
            "SIM_REFUSED": " ".join(self._world.traits.refused_refs),
            "SIM_PROTECTED": " ".join(closed),
            "SIM_OPEN": " ".join(opened),
            "SIM_PROTECTED_ALL": " ".join(project.protected),
            "SIM_AUTHORS": " ".join(known) if project.rejects_unknown_authors else "",
        }
