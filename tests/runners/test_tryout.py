"""`gatewright sandbox run`: that it is the jail of agents, and what it says of itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.model.errors import UsageError
from bot.model.state import Step
from bot.settings import Settings
from bot.settings_file import load
from bot.terminal.checks import Place, Verdict
from bot.terminal.checks_machine import sandbox
from runners import tryout
from runners.workspace.sandbox import probe
from tests.conftest import ROOT, missing
from tests.runners.stage import CODED, Reports, Stage

# Everything that can differ between two jails, and nothing that differs between two runs of one.
LOOK = r"""
import os, resource, socket
for name, value in sorted(os.environ.items()):
    if name not in ("OLDPWD", "SHLVL", "_"):
        print("env", name, value)
for line in open("/proc/self/mountinfo"):
    left, right = line.split(" - ")
    kind, _, more = right.split()
    print("mount", left.split()[4], left.split()[5], kind, more)
wanted = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
for line in open("/proc/self/status"):
    if line.split(":")[0] in wanted:
        print("status", line.strip())
for name in sorted(name for name in dir(resource) if name.startswith("RLIMIT_")):
    print("limit", name, resource.getrlimit(getattr(resource, name)))
for name, host in HOST.items():
    print("namespace", name, os.readlink("/proc/self/ns/" + name) != host)
for folder in ("/", "/dev", "/etc", "/home", "/home/agent", "/opt/gw", "/run"):
    print("folder", folder, sorted(os.listdir(folder)) if os.path.isdir(folder) else None)
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_NETLINK, socket.AF_PACKET, socket.AF_VSOCK):
    try:
        socket.socket(family, socket.SOCK_DGRAM).close()
        print("socket", family, "made")
    except OSError as error:
        print("socket", family, error.errno)
print("interfaces", socket.if_nameindex(), os.uname().nodename, os.getcwd(), os.getuid(), os.getgid())
"""
NAMESPACES = ("ipc", "mnt", "net", "pid", "user", "uts")


def look() -> str:
    """Write the shell line that prints a fingerprint, each line as a comment of Python."""
    host = {name: str(Path(f"/proc/self/ns/{name}").readlink()) for name in NAMESPACES}
    return f"python3 - <<'END' | sed 's/^/# /'\nHOST = {host!r}{LOOK}END\n"


@pytest.fixture(scope="module", autouse=True)
def _confined() -> None:
    if reason := probe():
        missing(f"the sandbox cannot start: {reason}")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory of the jail's user."""
    path = Path(tempfile.mkdtemp(prefix="gw-try-"))
    path.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(path, Settings().sandbox.user + 207, -1)
    yield path
    shutil.rmtree(path)


def gatewright(*words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-P", "-m", "bot", "sandbox", "run", *map(str, words)]
    return subprocess.run(
        argv, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, **env}, timeout=60
    )


def test_a_command_runs_and_its_cost_is_said_on_stderr(folder: Path) -> None:
    ended = gatewright("--dir", folder, "--", "sh", "-c", "id -un; pwd; touch made; exit 7")
    assert (ended.returncode, ended.stdout) == (7, "agent\n/workspace\n"), ended.stderr
    assert re.match(r"gatewright: exit 7 after \d+ ms; start-up \d+ ms, as ", ended.stderr)
    assert (folder / "made").stat().st_uid == folder.stat().st_uid


def test_quiet_prints_what_the_command_prints(folder: Path) -> None:
    ended = gatewright("--quiet", "--dir", folder, "--", "sh", "-c", "echo out; echo err >&2")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "out\n", "err\n")


def test_a_document_holds_what_the_command_printed(folder: Path) -> None:
    ended = gatewright("--json", "--dir", folder, "--", "sh", "-c", "echo out; exit 3")
    said = json.loads(ended.stdout)
    assert ended.returncode == said["exit_code"] == 3
    assert said["output"] == "out\n"
    assert 0 < said["start_ms"] < 5_000
    assert said["limited"] == ""


@pytest.mark.parametrize("form", ["--json", "--no-gateway"])
def test_what_limited_it_is_said(form: str, folder: Path) -> None:
    ended = gatewright(
        form, "--dir", folder, "--", "dd", "if=/dev/zero", "of=/tmp/big", "bs=1M", "count=3",
        GATEWRIGHT_SANDBOX__FILE_MB="1",
    )  # fmt: skip
    assert ended.returncode == 153
    said = json.loads(ended.stdout)["limited"] if form == "--json" else ended.stderr
    assert "file" in said


def test_a_read_only_directory_cannot_be_written(folder: Path) -> None:
    ended = gatewright("--read-only", "--dir", folder, "--", "touch", "made")
    assert "Read-only file system" in ended.stderr
    assert list(folder.iterdir()) == []


def test_the_gateway_refuses_everything_and_can_be_left_out(folder: Path) -> None:
    ask = (
        "exec 3<>/dev/tcp/127.0.0.1/8900; printf 'POST /v1/messages HTTP/1.1\\r\\nHost: x\\r\\nx-api-key: guessed\\r\\n"
        "Content-Length: 2\\r\\n\\r\\n{}' >&3; head -n1 <&3"
    )
    assert gatewright("--dir", folder, "--", "bash", "-c", ask).stdout.startswith("HTTP/1.1 401 ")
    assert "refused" in gatewright("--no-gateway", "--dir", folder, "--", "bash", "-c", ask).stderr


def test_a_sandbox_that_is_switched_off_is_not_tried(folder: Path) -> None:
    ended = gatewright("--dir", folder, "--", "true", GATEWRIGHT_SANDBOX__MODE="none-i-accept-the-risk")
    assert ended.returncode == 2
    assert "error[GW-SANDBOX-START]: there is no sandbox to try" in ended.stderr


@pytest.mark.parametrize("name", ["network_allow", "setup_allow"])
def test_the_doctor_names_a_host_that_is_none(name: str, folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "gatewright.toml"
    config.write_text(f'[sandbox]\n{name} = ["pypi.org", "https://npm.example:8443/x"]\n')
    (found,) = sandbox(Place(load(config), config, folder))
    assert (found.verdict, found.subject) == (Verdict.FAIL, "sandbox")
    assert f"sandbox.{name}: 'https://npm.example:8443/x' is no host" in found.words
    assert found.words.endswith("[GW-EGRESS-RULE]")
    assert f'write "npm.example:8443" in sandbox.{name}' in found.fix


@pytest.mark.parametrize(("directory", "argv"), [("/nothing/there", ["true"]), ("/tmp", [])])
def test_what_is_wrong_with_a_call_is_said(directory: str, argv: list[str]) -> None:
    with pytest.raises(UsageError, match="GW-SANDBOX-"):
        tryout.run(Path(directory), argv, Settings())


def output(reports: Reports, entry: dict[str, Any]) -> str:
    return "".join(reports.blobs.get(ref["commit"]).decode() for ref in entry["refs"])


async def test_it_is_the_jail_that_agents_get(stage: Stage, folder: Path) -> None:
    """The same script as a command of an agent in a real attempt, and by hand."""
    if stage.site.user is not None:
        os.chown(folder, stage.site.user, -1)
    command = {"calls": [{"tool": "run", "arguments": {"command": look()}}]}
    stage.record(coding=[CODED[0], [command, *CODED[1]]])
    reports = await stage.perform(stage.order(Step.CODING))
    assert reports.end["outcome"] == "ok", reports.explanation()
    ran = next(entry for entry in reports.of("tool.result") if "# env " in output(reports, entry))
    theirs = [line for line in output(reports, ran).splitlines() if line.startswith("# ")]
    ended = gatewright("--quiet", "--no-gateway", "--dir", folder, "--", "sh", "-c", look())
    mine = ended.stdout.strip().splitlines()
    objects = [line for line in theirs if line.startswith("# mount ") and "/objects ro," in line]
    assert len(objects) == 1, "a worktree of a mirror is shown the mirror's objects; any other directory has none"
    assert [line for line in theirs if line not in objects] == mine
    assert {line.split()[1] for line in mine} == {
        "env", "folder", "interfaces", "limit", "mount", "namespace", "socket", "status",
    }  # fmt: skip
    assert "# status Seccomp:\t2" in mine
    assert [line.split()[3] for line in mine if line.startswith("# namespace")] == ["True"] * len(NAMESPACES)
