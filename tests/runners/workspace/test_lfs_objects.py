"""Objects of Git LFS: from the repository's own server and named stores only, exact to the byte, kept once."""

from __future__ import annotations

import hashlib
import os

import httpx
import msgspec
import pytest

from bot import settings
from bot.model.errors import GatewrightError, Unavailable
from runners.workspace.git import GitError
from runners.workspace.lfs import Pointer
from runners.workspace.lfs_batch import Batch, LfsError
from runners.workspace.lfs_objects import LEFT, Objects
from tests.conftest import missing
from tests.runners.workspace.forge import ACCESS, PASSWORD, forge
from tests.runners.workspace.kit import ask, names, sh

CONTENT = b"\0real content\n" * 1000
TABLE = settings.Workspace(lfs=True)


def pointed(content: bytes, path: str = "a.bin", size: int | None = None) -> Pointer:
    return Pointer(
        path, "100644", "0" * 40, hashlib.sha256(content).hexdigest(), len(content) if size is None else size
    )  # fmt: skip


@pytest.fixture
def server(place):
    with forge(place) as served:
        served.keep(CONTENT)
        yield served


@pytest.fixture
def store(place):
    """Another host, which may get nothing that is not meant for it."""
    with forge(place) as served:
        served.is_store = True
        served.keep(CONTENT)
        yield served


def objects(server, work, table: settings.Workspace = TABLE) -> Objects:
    return Objects(work / "lfs" / "one", server.url, table)


async def brought(server, work, table: settings.Workspace = TABLE) -> bytes:
    kept = objects(server, work, table)
    here, missed = await kept.bring([pointed(CONTENT)], ACCESS)
    assert (len(here), missed) == (1, [])
    return kept.place(here[0]).read_bytes()


async def test_an_object_comes_by_the_batch_api_with_the_credential_of_the_fetch(server, work):
    assert await brought(server, work) == CONTENT
    assert server.asked == [
        {
            "operation": "download", "transfers": ["basic"], "hash_algo": "sha256",
            "objects": [{"oid": hashlib.sha256(CONTENT).hexdigest(), "size": len(CONTENT)}],
        }
    ]  # fmt: skip
    assert {given for _, given in server.seen} == {server.expected}
    assert (work / "lfs/one").stat().st_mode & 0o077 == 0
    assert "s3cr3t" not in sh("grep -r s3cr3t .", work).stdout


async def test_what_is_here_is_not_asked_for_again_and_one_object_is_loaded_once(server, work):
    kept = objects(server, work)
    for turn in range(2):
        if turn:
            os.utime(kept.place(pointed(CONTENT)), (1, 1))
        here, _ = await kept.bring([pointed(CONTENT), pointed(CONTENT, "b.bin")], ACCESS)
        assert [each.path for each in here] == ["a.bin", "b.bin"]
    assert (len(server.asked), len(server.gets)) == (1, 1)
    assert kept.place(pointed(CONTENT)).stat().st_mtime > 1  # `leftovers` goes by it


async def test_many_objects_are_asked_for_in_parts(server, work):
    contents = [str(number).encode() for number in range(101)]
    for each in contents:
        server.keep(each)
    here, _ = await objects(server, work).bring([pointed(each, each.decode()) for each in contents], ACCESS)
    assert len(here) == 101
    assert [len(each["objects"]) for each in server.asked] == [100, 1]


async def refused(server, work, code: str, table: settings.Workspace = TABLE) -> None:
    """Nothing is kept of an object that is refused."""
    with pytest.raises(GatewrightError) as caught:
        await brought(server, work, table)
    assert caught.value.code == code
    assert PASSWORD not in str(caught.value)
    assert names(work / "lfs/one") == []


async def test_a_store_is_asked_only_where_the_operator_names_it(server, store, work):
    server.item = lambda oid: server.download(oid, store.at, Signature="of-the-server")
    await refused(server, work, "GW-LFS-HOST")
    assert store.seen == []
    named = settings.Workspace(lfs=True, lfs_hosts=(f"127.0.0.1:{store.server_port}",))
    assert await brought(server, work, named) == CONTENT
    assert {given for _, given in store.seen} == {""}


async def test_a_server_cannot_have_our_credential_sent_to_a_store(server, store, work):
    """Some servers answer with the very header they were sent."""
    server.item = lambda oid: server.download(oid, store.at, Authorization=server.expected, Other=f"x {PASSWORD}")
    named = settings.Workspace(lfs=True, lfs_hosts=(f"127.0.0.1:{store.server_port}",))
    assert await brought(server, work, named) == CONTENT
    assert {given for _, given in store.seen} == {""}
    server.item = lambda oid: server.download(oid, store.at, Authorization="Bearer of-the-server")
    (work / "lfs/one" / pointed(CONTENT).sha256).unlink()
    assert await brought(server, work, named) == CONTENT
    assert store.seen[-1][1] == "Bearer of-the-server"  # the test can tell what arrives there


async def test_a_redirect_is_followed_to_a_named_store_and_without_the_credential(server, store, work):
    server.moved = store.at
    await refused(server, work, "GW-LFS-HOST")
    assert store.seen == []
    named = settings.Workspace(lfs=True, lfs_hosts=(f"127.0.0.1:{store.server_port}",))
    assert await brought(server, work, named) == CONTENT
    assert {given for _, given in store.seen} == {""}
    store.moved = store.at
    (work / "lfs/one" / pointed(CONTENT).sha256).unlink()
    await refused(server, work, "GW-LFS-ANSWER", named)  # round and round


@pytest.mark.parametrize(
    ("href", "allowed"),
    [
        ("https://forge.test/x", True),
        ("https://FORGE.test:443/x", True),
        ("https://store.test/x?sig=1", True),
        ("https://store.test:8443/x", False),
        ("https://minio.test:9000/x", True),
        ("https://minio.test/x", False),
        ("http://forge.test/x", False),
        ("http://store.test/x", False),
        ("https://forge.test:8443/x", False),
        ("https://evil.test/x", False),
        ("https://forge.test.evil.test/x", False),
        ("https://forge.test@evil.test/x", False),
        ("https://evil.test\\@forge.test/x", False),
        ("https://user:pass@forge.test/x", False),
        ("http://127.0.0.1/x", False),
        ("https://[::1]/x", False),
        ("http://169.254.169.254/latest", False),
        ("https://localhost/x", False),
        ("file:///etc/passwd", False),
        ("//evil.test/x", False),
        ("/x", False),
        ("https://forge.test:x/", False),
        ("https://forge.test/x\r\nHost: evil", False),
        ("", False),
    ],
)
async def test_addresses_of_objects_are_of_the_server_or_of_named_stores(href, allowed):
    async with httpx.AsyncClient() as client:
        batch = Batch("https://forge.test/g/a.git", None, ("store.test", "minio.test:9000"), client)
        assert batch.is_allowed(href) is allowed


@pytest.mark.parametrize("sent", [b"", CONTENT[:-1], CONTENT + b"x", b"y" * len(CONTENT), CONTENT * 1000])
async def test_an_object_of_another_size_or_digest_is_thrown_away(sent, server, work):
    server.objects[hashlib.sha256(CONTENT).hexdigest()] = sent
    await refused(server, work, "GW-LFS-OBJECT")


async def test_a_pointer_that_lies_about_the_size_is_found_out(server, work):
    for size in (len(CONTENT) - 1, len(CONTENT) + 1):
        with pytest.raises(LfsError, match="GW-LFS-OBJECT"):
            await objects(server, work).bring([pointed(CONTENT, size=size)], ACCESS)
    assert names(work / "lfs/one") == []


async def test_what_is_too_large_stays_a_pointer_and_is_not_asked_for(server, work):
    small = settings.Workspace(lfs=True, lfs_mb=1, lfs_total_mb=1)
    huge = pointed(b"", "huge.bin", size=1 << 50)
    first, second = pointed(b"1", "first.bin", size=1 << 19), pointed(b"2", "second.bin", size=(1 << 19) + 1)
    kept = objects(server, work, small)
    wanted, missed = kept._choose([huge, first, first, second])
    assert [each.path for each in wanted] == ["first.bin", "first.bin"]
    assert [each.path for each in missed] == ["huge.bin", "second.bin"]
    assert (await kept.bring([huge], ACCESS))[0] == []
    assert server.seen == []


@pytest.mark.parametrize(
    "item",
    [
        {"error": {"code": 404, "message": "Object does not exist"}},
        {"actions": {}},
        {"oid": "0" * 64},
    ],
)
async def test_an_object_that_the_server_has_not_is_said(item, server, work):
    server.item = lambda oid: {"oid": oid, **item}
    await refused(server, work, "GW-LFS-OBJECT")


async def test_answers_that_are_none_are_refused(server, work):
    server.item = lambda oid: {"oid": oid, "actions": {"download": {"href": 7}}}
    await refused(server, work, "GW-LFS-ANSWER")
    server.item = lambda oid: {"oid": oid, "actions": {"download": {"href": "x" * (5 << 20)}}}
    await refused(server, work, "GW-LFS-ANSWER")


async def test_a_wrong_credential_and_a_server_that_is_away_say_so(server, work):
    wrong = msgspec.structs.replace(ACCESS, password="wr0ng-tok3n")
    with pytest.raises(LfsError, match="answered 401") as caught:
        await objects(server, work).bring([pointed(CONTENT)], wrong)
    assert "wr0ng" not in str(caught.value)
    away = Objects(work / "lfs" / "two", "http://127.0.0.1:1/x.git", TABLE)
    with pytest.raises(Unavailable, match="GW-LFS-AWAY"):
        await away.bring([pointed(CONTENT)], ACCESS)


async def test_a_repository_of_this_machine_has_no_server(work):
    here, missed = await Objects(work / "lfs" / "two", "/srv/git/x", TABLE).bring([pointed(CONTENT)], None)
    assert (here, [each.path for each in missed]) == ([], ["a.bin"])


async def test_what_a_killed_worker_left_is_no_object(server, work):
    kept = objects(server, work)
    kept.place(pointed(CONTENT)).parent.mkdir(parents=True)
    kept.place(pointed(CONTENT)).with_suffix(LEFT).write_bytes(CONTENT[:5])
    assert await brought(server, work) == CONTENT
    assert names(work / "lfs/one") == [pointed(CONTENT).sha256]


async def test_a_full_disk_is_told_from_other_errors(server, place):
    small = place / "small"
    small.mkdir()
    if ask("mount", "-t", "tmpfs", "-o", "size=64k", "none", small).returncode:
        missing("a file system of a known size needs root")
    try:
        server.keep(b"x" * 200_000)
        kept = Objects(small / "one", server.url, TABLE)
        with pytest.raises(GitError, match="GW-GIT-DISK"):
            await kept.bring([pointed(b"x" * 200_000)], ACCESS)
        assert names(small / "one") == []
    finally:
        ask("umount", small)
