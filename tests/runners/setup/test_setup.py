"""A repository's [setup] in real attempts: a small package index on loopback, real jails, real git."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bot.model.state import Step
from runners.process import SHARED
from runners.site import Site
from runners.workspace.reach import blocked
from tests.conftest import ROOT, missing
from tests.runners.setup.index import Index, index
from tests.runners.stage import CODED, FILES, Reports, Stage, judged, raised
from tests.runners.workspace import image
from tests.runners.workspace.kit import OWNER

__all__ = ["index"]

FETCH = """import os, sys, urllib.request
way = urllib.request.ProxyHandler({"http": os.environ.get("http_proxy", "http://127.0.0.1:1")})
os.environ.pop("no_proxy", None), os.environ.pop("NO_PROXY", None)
print(urllib.request.build_opener(way).open(sys.argv[1], timeout=5).read().decode())
"""


@contextmanager
def staged(redis_url: str, setup: list[str], check: str = "true", **sandbox: Any) -> Iterator[Stage]:
    lines = [f"setup = {setup!r}", "[checks]", f"unit = {check!r}"]
    files = {
        **FILES, ".gatewright.toml": "\n".join(lines) + "\n", "fetch.py": FETCH, ".gitignore": "lib/\n",
        "package.lock": "1\n",
    }  # fmt: skip
    with raised(redis_url, files) as stage:
        settings = replace(stage.settings, sandbox=replace(stage.settings.sandbox, **sandbox))
        stage.settings, stage.site = settings, Site(settings, stage.site.slot)
        yield stage


async def coded(stage: Stage) -> Reports:
    stage.record(coding=CODED, qa=[judged("met", "met")] * 2)
    return await stage.perform(stage.order(Step.CODING))


def gates(reports: Reports, rule: str) -> list[str]:
    return [entry["data"]["result"] for entry in reports.of("gate") if entry["data"]["rule"] == rule]


async def test_it_is_made_once_before_the_agent_and_given_to_every_jail(redis_url: str, index: Index) -> None:
    setup = [
        f"mkdir -p lib ~/.cache/tool && python3 fetch.py http://{index.place}/p > lib/p.txt && ln -s p.txt lib/link",
        "echo warm > ~/.cache/tool/state; echo stray > stray.txt; echo changed >> calc.py; printf '*' > .gitignore",
    ]
    check = (
        "grep -q package lib/link && grep -q warm ~/.cache/tool/state && test ! -e stray.txt && ! grep changed calc.py"
        " && ! touch ~/.cache/tool/state && ! touch /opt/gw/setup/lib/p.txt && touch ~/.cache/own lib/own"
        f" && ! python3 fetch.py http://{index.place}/later"
    )
    with staged(redis_url, setup, check, setup_allow=(index.place,)) as stage:
        first = await coded(stage)
        assert first.end["outcome"] == "ok", first.explanation()
        assert {entry["data"]["path"] for entry in first.of("file.change")} == {"calc.py", "tests/test_calc.py"}
        assert (stage.site.work / "tasks" / "42-k7f3qd" / "tree" / "lib" / "p.txt").read_text() == "package\n"
        runs = [(entry["data"]["suite"], entry["data"]["exit"]) for entry in first.of("test.run")]
        assert runs == [("setup-1", 0), ("setup-2", 0)]
        assert [place for place in gates(first, "setup-egress") if place == index.place]
        assert gates(first, "setup")[0].endswith(" made")

        second = await stage.perform(stage.order(Step.QA, head=first.end["data"]["commit"]))
        assert second.end["outcome"] == "ok", second.explanation()
        assert gates(second, "setup")[0].endswith(" kept")
        assert [(e["data"]["suite"], e["data"]["exit"]) for e in second.of("test.run")] == [("unit", 0)], second.blob(
            "test.run", "output"
        )
        (kept,) = [each for each in (stage.site.work / "setup").iterdir() if each.suffix != ".lock"]
        names = sorted(path.name for path in kept.rglob("*"))
        assert names == [".cache", "home", "lib", "link", "p.txt", "state", "tool", "tree"]
        assert {path.lstat().st_uid for path in kept.rglob("*")} == {os.geteuid()}
        assert not [path for path in kept.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o7022]
    assert index.asked == ["/p"]


async def test_a_set_up_that_fails_blocks_and_says_what_it_wanted(redis_url: str, index: Index) -> None:
    setup = [f"echo looking; python3 fetch.py http://{index.place}/p; echo missing >&2; exit 7"]
    with staged(redis_url, setup, setup_allow=("packages.test",)) as stage:
        reports = await coded(stage)
        assert (reports.end["outcome"], reports.end["data"]["code"]) == ("fail", "GW-SETUP-FAILED")
        said = reports.explanation()
        assert "exit code 7" in said
        assert "missing" in said
        assert f"Refused by sandbox.setup_allow: {index.place}" in said
        assert not reports.of("model.call")
        assert not [each for each in (stage.site.work / "setup").iterdir() if each.suffix != ".lock"]
    assert index.asked == []


async def test_without_allowed_hosts_there_is_no_way_out_at_all(redis_url: str, index: Index) -> None:
    setup = [f'test -z "$http_proxy" && ! python3 fetch.py http://{index.place}/p && mkdir lib && echo 1 > lib/x']
    with staged(redis_url, setup) as stage:
        reports = await coded(stage)
        assert reports.end["outcome"] == "ok", reports.explanation()
    assert index.asked == []


async def test_it_may_not_fill_the_disk(redis_url: str) -> None:
    setup = ["mkdir lib; head -c 40000000 /dev/zero > ~/zero; head -c 40000000 /dev/zero > lib/zero"]
    with staged(redis_url, setup, disk_mb=64) as stage:
        reports = await coded(stage)
        assert (reports.end["outcome"], reports.end["data"]["code"]) == ("fail", "GW-SETUP-SIZE")


async def test_a_home_that_fills_the_disk_is_stopped_while_it_does(redis_url: str) -> None:
    """Before its end: nobody waits for what sleeps, and what it wrote is gone."""
    setup = ["head -c 100000000 /dev/zero > ~/zero; sleep 40; echo whole > ~/whole"]
    with staged(redis_url, setup, disk_mb=64) as stage:
        began = time.monotonic()
        reports = await coded(stage)
        assert time.monotonic() - began < 40
        assert (reports.end["outcome"], reports.end["data"]["code"]) == ("fail", "GW-SETUP-SIZE")
        assert "sandbox.disk_mb = 64: its home" in reports.explanation()
        assert not reports.of("model.call")
        assert not [each for each in (stage.site.work / "setup").iterdir() if each.suffix != ".lock"]


async def test_a_tree_that_fills_the_disk_is_stopped_while_it_does(redis_url: str) -> None:
    setup = ["mkdir lib; head -c 100000000 /dev/zero > lib/zero; sleep 40"]
    with staged(redis_url, setup, disk_mb=64) as stage:
        began = time.monotonic()
        reports = await coded(stage)
        assert time.monotonic() - began < 40
        assert (reports.end["outcome"], reports.end["data"]["code"]) == ("fail", "GW-SETUP-FAILED")
        assert "sandbox.disk_mb" in reports.explanation()


async def test_in_a_teams_root_file_system_it_uses_what_is_there(redis_url: str) -> None:
    place = Path(tempfile.mkdtemp(prefix="gw-image-"))
    setup = ["mkdir -p lib ~/.cache && cat /etc/team > lib/team && team-tool > ~/.cache/said && ! ls /usr/bin/bwrap"]
    check = 'grep -q "the tool of the team" ~/.cache/said && grep -q image lib/team && ! ls /usr/bin/bwrap'
    try:
        image.build(place)
        folders = {"rootfs": str(place), "path": ("/opt/tool/bin",)}
        with staged(redis_url, setup, check, **folders) as stage:
            first = await coded(stage)
            assert first.end["outcome"] == "ok", first.explanation()
            assert gates(first, "setup")[0].endswith(" made")
            second = await stage.perform(stage.order(Step.QA, head=first.end["data"]["commit"]))
            assert gates(second, "setup")[0].endswith(" kept")
            runs = [(entry["data"]["suite"], entry["data"]["exit"]) for entry in second.of("test.run")]
            assert runs == [("unit", 0)], second.blob("test.run", "output")
    finally:
        shutil.rmtree(place)


SHOWN = 'mount --bind "$0" "$1" && shift && exec "$@"'


def python(user: int, home: Path) -> list[str]:
    """Start this very Python as another user, shown below `home` where it lies in a private one."""
    drop = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"]
    found = Path(sys.executable).resolve()
    if blocked(found, user) is None:
        return [*drop, str(found)]
    place = home / "python"
    place.mkdir()
    inside = place / found.relative_to(sys.base_prefix)
    drop += ["env", f"LD_LIBRARY_PATH={place}/lib"]  # where it has its own library in the private place
    return ["unshare", "--mount", "sh", "-c", SHOWN, sys.base_prefix, str(place), *drop, str(inside)]


@pytest.mark.skipif(OWNER is None, reason="the tests above run as an ordinary user already")
@pytest.mark.timeout(300)
def test_a_worker_that_is_no_root_makes_and_keeps_it_as_well() -> None:
    """The tests above once more, as a user of this test's own making."""
    user = 500_000 + secrets.randbelow(100_000)
    if blocked(ROOT / "bot", user) is not None:
        missing("a checkout that other users may read")
    home = Path(tempfile.mkdtemp(prefix="gw-home-"))
    locks = SHARED.with_name(f"{SHARED.name}-{user}")
    paths = os.pathsep.join([str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))])
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": paths,
        "PYTHONDONTWRITEBYTECODE": "1", "CI": os.environ.get("CI", ""),
    }  # fmt: skip
    names = "made_once or stopped_while or root_file_system"
    try:
        home.chmod(0o711)
        os.chown(home, user, user)
        done = subprocess.run(
            [
                *python(user, home), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={home}/base",
                "-k", names, str(Path(__file__)),
            ],
            cwd=ROOT, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        shutil.rmtree(home)
        shutil.rmtree(locks, ignore_errors=True)
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-1_000:]
    assert "4 passed" in done.stdout


async def test_checks_reach_what_policy_lets_them(redis_url: str, index: Index) -> None:
    check = f"python3 fetch.py http://{index.place}/check && ! python3 fetch.py http://127.0.0.1:9/evil"
    with staged(redis_url, [], check, network_allow=(index.place,)) as stage:
        head = (await coded(stage)).end["data"]["commit"]
        reports = await stage.perform(stage.order(Step.QA, head=head))
        assert reports.data("test.run")["exit"] == 0, reports.blob("test.run", "output")
        assert gates(reports, "egress")[:2] == [index.place, "127.0.0.1:9"]
    assert index.asked == ["/check"]
