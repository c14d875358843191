"""A team's own root file system: shown instead of the machine's, and no way from it to the machine's files."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot import settings
from bot.model.errors import GatewrightError
from runners.workspace.rootfs import checked, found, homes, shell, system
from tests.runners.workspace import image
from tests.runners.workspace.kit import OWNER


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="gw-image-"))
    yield image.build(place)
    shutil.rmtree(place)


@pytest.fixture
def small(place: Path) -> Path:
    """One that a test may spoil."""
    return image.build(place / "small", ("bash", "dash", "cat", "ls", "touch", "readlink"))


def of(root: Path, **more: object) -> settings.Sandbox:
    return settings.Sandbox(rootfs=str(root), **more)


def pairs(listed: list[str], name: str) -> list[tuple[str, str]]:
    return [(listed[i + 1], listed[i + 2]) for i, option in enumerate(listed) if option == name]


class TestInside:
    """What a command sees."""

    async def test_the_programs_and_settings_are_the_images(self, make_jail, tree, root):
        jail = make_jail(tree, of(root))
        line = "cat /etc/team; cat /var/lib/team/note; /opt/tool/bin/team-tool; cat /home/linuxbrew/note; ls /usr/bin"
        seen = (await jail.run(["sh", "-c", line], timeout=20)).output
        assert seen.startswith("the team's image\na note\nthe tool of the team\nbrewed\n")
        assert set(seen.split("\n")[4:-1]) == {path.name for path in (root / "usr/bin").iterdir()}

    async def test_accounts_home_and_worktree_are_ours(self, make_jail, tree, root):
        jail = make_jail(tree, of(root))
        line = "id -un; cat /etc/passwd; echo $HOME $PWD $SHELL; touch /workspace/made ~/made /tmp/made && echo written"
        seen = (await jail.run(["sh", "-c", line], timeout=20)).output.splitlines()
        assert seen[0] == "agent"
        assert seen[1] == "agent:x:1000:1000:agent:/home/agent:/bin/bash"
        assert seen[2:] == ["/home/agent /workspace /bin/bash", "written"]
        assert (tree / "made").exists()

    async def test_nothing_of_it_can_be_written(self, make_jail, tree, root):
        jail = make_jail(tree, of(root))
        folders = "/ /usr /usr/bin /etc /.etc /opt /opt/tool /opt/gw /var/lib/team /home/linuxbrew"
        line = f"for each in {folders}; do touch $each/x; done"
        seen = (await jail.run(["bash", "-c", line], timeout=20)).output
        assert seen.count("Read-only file system") == 10, seen

    async def test_relative_links_of_its_etc_lead_where_they_did(self, make_jail, tree, root):
        assert (await make_jail(tree, of(root)).run(["cat", "/etc/team.d/up/note"], timeout=20)).output == "a note\n"

    async def test_of_the_machine_there_is_nothing(self, make_jail, tree, root):
        jail = make_jail(tree, of(root))
        for path in (
            "/usr/bin/bwrap",
            "/usr/share",
            "/etc/alternatives",
            "/var/log",
            "/root/.bashrc",
            "/sys",
            "/.dockerenv",
        ):
            assert (await jail.run(["ls", "-d", path], timeout=20)).exit_code == 2, path
        mounted = (await jail.run(["cat", "/proc/self/mountinfo"], timeout=20)).output
        shown = {line.split()[4] for line in mounted.splitlines()}
        assert "/usr/bin" not in shown
        assert {"/usr", "/workspace", "/opt/gw/kit", "/opt/tool"} <= shown

    async def test_the_gateway_is_reached_by_a_relay_of_ours(self, make_jail, tree, root, gateway):
        assert not (root / "usr/bin/socat").exists()
        jail = make_jail(tree, of(root), socket=gateway)
        ask = 'exec 3<>/dev/tcp/127.0.0.1/8900; printf "hello\\n" >&3; head -n1 <&3'
        assert (await jail.run(["bash", "-c", ask], timeout=20)).output == "HELLO\n"

    async def test_an_image_without_bash_has_the_shell_that_it_has(self, make_jail, tree, place, gateway):
        bare = image.build(place / "bare", ("dash", "env"))
        jail = make_jail(tree, of(bare), socket=gateway)
        seen = await jail.run(["sh", "-c", "echo $SHELL; env; exit 3"], timeout=20)
        assert seen.exit_code == 3
        assert seen.output.startswith("/bin/sh\n")
        assert "LD_" not in seen.output
        assert "bash: not found" in (await jail.run(["sh", "-c", "bash -c true"], timeout=20)).output

    async def test_an_epilogue_needs_no_program_of_the_image(self, make_jail, tree, place):
        import asyncio

        bare = image.build(place / "bare", ("dash",))
        path = make_jail(tree, of(bare)).wrapper(
            ["sh", "-c", "echo '{\"n\":\n7}' > ~/u.json"], env={"GW_EPILOGUE": "/home/agent/u.json"}
        )
        process = await asyncio.create_subprocess_exec(path, stdout=asyncio.subprocess.PIPE)
        assert (await process.communicate())[0] == b'\n{"type":"gw.usage","data":{"n":7}}\n'

    async def test_toolchains_of_the_machine_are_added_where_the_image_has_nothing(self, make_jail, tree, root, place):
        tool = place / "go/bin/tool"
        tool.parent.mkdir(parents=True)
        tool.write_text("#!/bin/sh\necho ours\n")
        tool.chmod(0o755)
        (place / "go").chmod(0o755)
        jail = make_jail(tree, of(root, binds=(str(place / "go"),), path=(str(tool.parent), "/opt/tool/bin")))
        assert (await jail.run(["sh", "-c", "tool; team-tool"], timeout=20)).output == "ours\nthe tool of the team\n"


class TestTricks:
    """Links that would lead to the machine's files, were they followed on the machine."""

    async def test_absolute_links_lead_inside(self, make_jail, tree, small):
        for name in ("bin", "lib", "lib64"):
            (small / name).unlink()
            (small / name).symlink_to(f"/usr/{name}")
        jail = make_jail(tree, of(small))
        assert (await jail.run(["/bin/cat", "/etc/team"], timeout=20)).output == "the team's image\n"
        assert (await jail.run(["ls", "/bin/bwrap"], timeout=20)).exit_code == 2

    @pytest.mark.parametrize(
        "goal", ["../../etc", "/etc", "/proc/1/root/etc", "/oldroot/etc", "/newroot/../oldroot/etc"]
    )
    async def test_an_etc_that_is_a_link_is_not_the_machines(self, goal, make_jail, tree, small):
        shutil.rmtree(small / "etc")
        (small / "etc").symlink_to(goal)
        jail = make_jail(tree, of(small))
        seen = (await jail.run(["sh", "-c", "ls /etc; cat /etc/shadow /etc/hostname"], timeout=20)).output
        assert set(seen.split("cat:")[0].split()) <= {"group", "hosts", "nsswitch.conf", "passwd", "pki", "ssl"}
        assert seen.count("No such file") == 2

    @pytest.mark.parametrize("name", ["var", "srv", "opt", "home"])
    @pytest.mark.parametrize("goal", ["/{up}", "../..{up}", "/oldroot{up}"])
    async def test_a_folder_that_is_a_link_to_the_machine_leads_nowhere(self, name, goal, make_jail, tree, small, work):
        secret = work / "secret"
        secret.write_text("TOPSECRET")
        if (small / name).exists():
            shutil.rmtree(small / name)
        (small / name).symlink_to(goal.format(up=work))
        (small / "usr/way").symlink_to(secret)
        (small / "etc/way").symlink_to(secret)
        assert (small / "usr/way").read_text() == "TOPSECRET"
        jail = make_jail(tree, of(small))
        seen = (await jail.run(["bash", "-c", f"cat /{name}/secret /usr/way /etc/way {secret}"], timeout=20)).output
        assert "TOPSECRET" not in seen
        assert seen.count("cat: ") == 4

    async def test_an_image_does_not_replace_what_is_ours(self, make_jail, tree, small, gateway):
        for name in ("workspace", "run", "opt/gw/kit", "opt/rt", "home/agent", "sys"):
            (small / name).mkdir(parents=True)
        (small / "opt/gw/init.sh").write_text("echo replaced")
        (small / "workspace/planted").touch()
        (small / "home/agent/.bashrc").touch()
        jail = make_jail(tree, of(small), socket=gateway)
        seen = (await jail.run(["bash", "-c", "ls -A /workspace ~ /opt/gw"], timeout=20)).output
        assert seen == "/home/agent:\n\n/opt/gw:\ninit.sh\nkit\n\n/workspace:\n"


class TestRefused:
    """What is said about a root file system that will not do."""

    @pytest.mark.parametrize(
        ("spoil", "words"),
        [
            (shutil.rmtree, "is no folder"),
            (
                lambda root: (root / "usr/bin/sh").unlink() or (root / "usr/bin/bash").unlink(),
                "lacks a program: /bin/sh",
            ),
            (lambda root: (root / "bin").unlink(), "lacks a program: /bin/sh"),
        ],
    )
    def test_what_it_lacks_is_named(self, spoil, words, make_jail, tree, small):
        spoil(small)
        with pytest.raises(GatewrightError, match=words) as caught:
            make_jail(tree, of(small))
        assert caught.value.code == "GW-SANDBOX-ROOTFS"
        assert "docker export" in caught.value.fix

    def test_a_shell_outside_is_no_shell(self, small):
        (small / "usr/bin/bash").unlink()
        (small / "usr/bin/sh").unlink()
        (small / "usr/bin/sh").symlink_to("../../../../../../../bin/sh")  # a loop inside, dash on the machine
        assert (small / "usr/bin/sh").resolve().exists()
        assert shell(small) is None

    def test_the_whole_machine_is_none(self, tree):
        with pytest.raises(GatewrightError, match="not a folder of its own"):
            checked(Path("/"), tree, OWNER)

    @pytest.mark.skipif(OWNER is None, reason="an ordinary worker passes where it may pass itself")
    def test_one_in_a_private_home_is_refused_with_what_to_do(self, small, tree):
        small.chmod(0o700)
        with pytest.raises(GatewrightError) as caught:
            checked(small, tree, OWNER)
        assert caught.value.fix == f"chmod o+x {small}"

    def test_a_toolchain_that_a_link_is_in_the_way_of(self, make_jail, tree, small, place):
        tools = place / "tools"
        tools.mkdir()
        (small / str(place).strip("/").split("/")[0]).exists()
        with pytest.raises(GatewrightError, match="/lib is a link"):
            system(small, [], ["/lib/jvm"])


class TestOptions:
    """The list for bubblewrap."""

    def test_only_real_folders_and_files_are_bound(self, small):
        (small / "srv").symlink_to("/etc")
        os.mkfifo(small / "fifo")
        listed = system(small, ["/opt/gw/init.sh", "/etc/passwd"], [])
        sources = {source for source, _ in pairs(listed, "--ro-bind")}
        assert all(Path(source).is_relative_to(small) and not Path(source).is_symlink() for source in sources)
        assert ("/etc", "/srv") in pairs(listed, "--symlink")
        assert not [option for option in listed if "fifo" in option]

    def test_a_mount_point_in_a_full_folder_costs_links_and_no_mounts(self, small):
        listed = system(small, [], ["/usr/bin/tool"])
        assert (str(small / "usr"), "/.usr") in pairs(listed, "--ro-bind")
        assert ("/.usr/bin/cat", "/usr/bin/cat") in pairs(listed, "--symlink")
        assert (str(small / "usr/lib"), "/usr/lib") in pairs(listed, "--ro-bind")

    def test_a_mount_point_that_is_there_changes_nothing(self, small):
        assert system(small, [], ["/usr/bin"]) == system(small, [], [])

    def test_homes_beside_the_agents_own(self, small):
        (small / "home/agent").mkdir()
        assert pairs(homes(small, ["/home/agent"]), "--ro-bind") == [(str(small / "home/linuxbrew"), "/home/linuxbrew")]

    def test_links_are_followed_as_inside(self, small):
        assert found(small, "/bin/sh") == small / "usr/bin/dash"
        assert found(small, "/etc/team.d/up/../../../../etc/team") == small / "etc/team"
        (small / "loop").symlink_to("/loop")
        assert found(small, "/loop/x") is None
        assert found(small, "/etc/team/x") is None
