"""Run the simulator by hand: `python -m tests.simulators.gitlab --port 8081 --hook http://127.0.0.1:8080/webhooks/gitlab`."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from tests.simulators.gitlab.server import GitLabSimulator


def main() -> None:
    """Serve one project with a maintainer and a bot's token, until interrupted."""
    parser = argparse.ArgumentParser(description="a simulated GitLab on loopback")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--root", default="", help="sub-path, such as /gitlab")
    parser.add_argument("--project", default="pay/core/api", help="path of the project")
    parser.add_argument("--hook", default="", help="URL that webhooks go to")
    parser.add_argument("--secret", default="toy-secret", help="webhook secret token")
    parser.add_argument("--files", type=Path, help="folder whose files the repository begins with")
    args = parser.parse_args()
    files = (
        {str(p.relative_to(args.files)): p.read_bytes() for p in args.files.rglob("*") if p.is_file()}
        if args.files
        else None
    )
    stops = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)  # before the first thread, or it would take the signal
    with GitLabSimulator(port=args.port, root=args.root) as gitlab:
        project = gitlab.project(args.project, files)
        _, token = gitlab.access_token(project)
        if args.hook:
            gitlab.hook(args.hook, token=args.secret, project=project)
        person = gitlab.user("mira", project, "maintainer").makes_token().value
        print(f"url = {gitlab.url!r}\ntoken = {token.value!r}\nwebhook_tokens = [{args.secret!r}]")
        print(f"# project {project.id} {project.full_path}, a maintainer's token: {person}", flush=True)
        signal.sigwait(stops)


if __name__ == "__main__":
    main()
