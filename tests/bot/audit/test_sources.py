from __future__ import annotations

import json
import zipfile

import pytest

from bot.audit.command import verify
from tests.bot.audit.story import TASK, git


def bundled(task, path, **more: bytes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in task.files().items():
            archive.writestr(f"tasks/{TASK}/{name}", raw)
        for entry in task.log.write(task.root / "log").rglob("*"):
            if entry.is_file():
                archive.writestr(f"log/{entry.relative_to(task.root / 'log')}", entry.read_bytes())
        archive.writestr("README.md", b"how to check\n")
        archive.writestr("trust.json", b"{}")
        for name, raw in more.items():
            archive.writestr(name, raw)
    return path


def test_a_bundle_reaches_l4_by_the_auditors_own_trust_file(sealed, capsys):
    path = bundled(sealed, sealed.root / "audit.zip")

    assert verify(path, trust=sealed.trust_file(), json=True) == 0
    verdict = json.loads(capsys.readouterr().out)["tasks"][0]
    assert verdict["level"] == "L4"
    assert not any("--log" in text for text in verdict["not_proven"])  # the bundle brought the log
    assert verify(path) == 0


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/evil",
        "tasks/../../evil",
        "tasks/x/../../../evil",
        "tasks/evil",
        "log/.hidden",
        "a\\..\\evil",
        "log//x",
    ],
)
def test_a_member_that_leads_elsewhere_is_refused(sealed, name, capsys):
    assert verify(bundled(sealed, sealed.root / "audit.zip", **{name: b"x"})) == 4
    assert "GW-AUDIT-BUNDLE" in capsys.readouterr().err
    assert not (sealed.root.parent / "evil").exists()


def test_a_link_in_a_bundle_is_refused(sealed):
    path = bundled(sealed, sealed.root / "audit.zip")
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo(f"tasks/{TASK}/plan.json")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")

    assert verify(path) == 4


def test_more_than_a_file_can_hold_is_refused(sealed, capsys):
    assert verify(bundled(sealed, sealed.root / "audit.zip", **{"log/entries/000009.jsonl": bytes(17 << 20)})) == 4
    assert "larger than" in capsys.readouterr().err


def test_a_damaged_bundle_is_unreadable(sealed):
    path = bundled(sealed, sealed.root / "audit.zip")
    raw = bytearray(path.read_bytes())
    raw[100:140] = bytes(40)
    path.write_bytes(raw)

    assert verify(path) == 4


def test_a_repository_is_fetched_by_its_address_with_audit_refs(sealed, capsys, monkeypatch):
    monkeypatch.setenv("GIT_DIR", "/nowhere")

    assert verify(f"file://{sealed.repo}", trust=sealed.trust_file(), json=True) == 0
    verdict = json.loads(capsys.readouterr().out)["tasks"][0]
    assert (verdict["level"], verdict["records"]) == ("L4", 61)


def test_a_repository_that_cannot_be_fetched_is_unreadable(tmp_path, capsys):
    assert verify(f"file://{tmp_path}/nothing") == 4
    assert "GW-AUDIT-FETCH" in capsys.readouterr().err


def test_an_address_that_would_run_a_program_is_no_address(tmp_path, capsys):
    assert verify(f"ext::touch {tmp_path}/evil") == 4
    assert not (tmp_path / "evil").exists()
    assert "GW-AUDIT-PATH" in capsys.readouterr().err


def test_a_remote_branch_of_a_clone(sealed, tmp_path):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(sealed.repo), str(clone))

    assert verify(clone, rev=f"origin/gatewright/{TASK}-retry", trust=sealed.trust_file(), level="L3") == 0


def test_a_bare_repository_prefers_the_audit_ref(sealed, tmp_path, capsys):
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--mirror", str(sealed.repo), str(bare))

    assert verify(bare, trust=sealed.trust_file(), json=True) == 0
    assert json.loads(capsys.readouterr().out)["tasks"][0]["records"] == 61
