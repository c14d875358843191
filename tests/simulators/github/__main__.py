"""Run the simulator by hand: `python -m tests.simulators.github --port 8081 --hook http://127.0.0.1:8080/webhooks/github`."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from tests.simulators.github.server import GitHubSimulator


def main() -> None:
    """Serve one repository with an owner, until interrupted."""
    parser = argparse.ArgumentParser(description="a simulated GitHub on loopback")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--hook", default="", help="URL that webhooks go to")
    parser.add_argument("--secret", default="toy-secret", help="webhook secret")
    parser.add_argument("--files", type=Path, help="folder whose files the repository begins with")
    args = parser.parse_args()
    files = (
        {str(p.relative_to(args.files)): p.read_bytes() for p in args.files.rglob("*") if p.is_file()}
        if args.files
        else None
    )
    stops = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)  # before the first thread, or it would take the signal
    with GitHubSimulator(port=args.port) as github:
        repo = github.repository("octo/shop", files, private=False)
        github.install(repo)
        if args.hook:
            github.hook(args.hook, args.secret)
        token = github.user("octo", repo).makes_token().value
        table = github.table(secrets=(args.secret,))
        print(f"api_url = {table.api_url!r}\nweb_url = {table.web_url!r}\napp_id = {table.app_id}")
        print(
            f"webhook_secrets = [{args.secret!r}]\n# owner's token: {token}\nprivate_key = '''\n{table.private_key}'''",
            flush=True,
        )
        signal.sigwait(stops)


if __name__ == "__main__":
    main()
