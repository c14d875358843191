"""Git repositories of the simulated GitHub: made and read by git itself, served by its own `git http-backend`."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.simulators.github.world import Repository, User, World

SERVICES: Final = ("git-upload-pack", "git-receive-pack")
ZERO: Final = "0" * 40


class Hosting:
    """The git side of the world; a repository lies under its id, so that renaming moves nothing."""

    def __init__(self, world: World) -> None:
        self._root = world.root / "git"
        self._root.mkdir(parents=True, exist_ok=True)
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(world.root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }

    def directory(self, repo_id: int) -> Path:
        """Name where a repository lies."""
        return self._root / f"{repo_id}.git"

    def create(self, repo: Repository, files: Mapping[str, str | bytes]) -> None:
        """Make a bare repository with one commit of these files on the default branch."""
        self.git(repo, "init", "--quiet", "--bare", f"--initial-branch={repo.default_branch}", str(repo.git))
        for key in ("http.receivepack", "uploadpack.allowAnySHA1InWant"):
            self.git(repo, "config", key, "true")
        self.git(repo, "config", "receive.hideRefs", "refs/pull")  # GitHub's own, nobody may push there
        self.commit(repo, repo.default_branch, files, "Begin")

    def commit(
        self,
        repo: Repository,
        branch: str,
        files: Mapping[str, str | bytes],
        message: str,
        by: User | None = None,
    ) -> str:
        """Commit files on a branch, on top of what is there; a new branch begins at the default one."""
        ref = f"refs/heads/{branch}"
        text = message.encode()
        stream = [b"commit %s\n" % ref.encode()]
        if by is not None:
            stream.append(b"author %s <%s> 1700000000 +0000\n" % (by.login.encode(), by.address.encode()))
        stream.append(b"committer Octo <octo@example.com> 1700000000 +0000\n")
        stream.append(b"data %d\n%s\n" % (len(text), text))
        if parent := self.sha(repo, ref) or self.branch(repo, repo.default_branch):
            stream.append(b"from %s\n" % parent.encode())
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            stream.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
        self.git(repo, "fast-import", "--quiet", stdin=b"".join(stream))
        return self.sha(repo, ref) or ZERO

    def git(self, repo: Repository, *args: str, stdin: bytes = b"", cwd: Path | None = None) -> bytes:
        """Run git in a repository; raise CalledProcessError with its words."""
        place = {} if cwd else {"GIT_DIR": str(repo.git)}
        who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in WHO.items()}
        command = ("git", *args)
        done = subprocess.run(
            command, input=stdin, env=self._env | place | who, cwd=cwd, capture_output=True, check=False
        )
        if done.returncode:
            error = subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
            error.add_note(done.stderr.decode(errors="replace"))
            raise error
        return done.stdout

    def sha(self, repo: Repository, rev: str) -> str | None:
        """Name the object a revision means, if there is one."""
        try:
            return self.git(repo, "rev-parse", "--verify", "--quiet", "--end-of-options", rev).decode().strip()
        except subprocess.CalledProcessError:
            return None

    def branch(self, repo: Repository, name: str) -> str | None:
        """Name the head of a branch."""
        return self.sha(repo, f"refs/heads/{name}")

    def has_commit(self, repo: Repository, sha: str) -> bool:
        """Tell whether a commit is there."""
        return self.sha(repo, f"{sha}^{{commit}}") is not None

    def fetch(self, repo: Repository, fork: Repository, branch: str) -> str | None:
        """Take over the objects of a branch of a fork, and name its head."""
        self.git(repo, "fetch", "--quiet", str(fork.git), f"refs/heads/{branch}")
        return self.branch(fork, branch)

    def refs(self, repo: Repository) -> dict[str, str]:
        """List all refs."""
        listed = self.git(repo, "for-each-ref", "--format=%(refname) %(objectname)").decode().split("\n")
        return dict(line.split(" ") for line in listed if line)

    def set_ref(self, repo: Repository, ref: str, sha: str | None) -> None:
        """Move, make or (None) delete a ref."""
        self.git(repo, "update-ref", *(("-d", ref) if sha is None else (ref, sha)))

    def is_ancestor(self, repo: Repository, old: str, new: str) -> bool:
        """Tell whether moving from old to new is a fast-forward."""
        try:
            self.git(repo, "merge-base", "--is-ancestor", old, new)
        except subprocess.CalledProcessError:
            return False
        return True

    def entry(self, repo: Repository, rev: str, path: str) -> tuple[str, str] | None:
        """Name type and id of what lies at a path."""
        sha = self.sha(repo, f"{rev}:{path}")
        return None if sha is None else (self.git(repo, "cat-file", "-t", sha).decode().strip(), sha)

    def blob(self, repo: Repository, sha: str) -> bytes:
        """Read a blob."""
        return self.git(repo, "cat-file", "blob", sha)

    def merge(self, repo: Repository, base: str, head: str, message: str) -> str:
        """Merge a commit into a branch with a merge commit, as the button does by default; a conflict raises."""
        with tempfile.TemporaryDirectory(dir=self._root) as place:
            tree = Path(place) / "tree"
            self.git(repo, "worktree", "add", "--quiet", "--detach", str(tree), f"refs/heads/{base}")
            try:
                self.git(repo, "merge", "--quiet", "--no-ff", "-m", message, head, cwd=tree)
                merged = self.git(repo, "rev-parse", "HEAD", cwd=tree).decode().strip()
            finally:
                self.git(repo, "worktree", "remove", "--force", str(tree))
        self.set_ref(repo, f"refs/heads/{base}", merged)
        return merged

    def serve(self, repo: Repository, user: User | None, request: Mapping[str, str], body: bytes) -> bytes:
        """Let `git http-backend` answer a request; the result is CGI: headers, a blank line, the body."""
        env = {
            **self._env,
            **request,
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_ADDR": "127.0.0.1",
            "SERVER_PROTOCOL": "HTTP/1.1",
        }
        if user is not None:
            env["REMOTE_USER"] = user.login
        return subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=True).stdout


WHO: Final = {"NAME": "Octo", "EMAIL": "octo@example.com"}
