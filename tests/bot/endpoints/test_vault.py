"""A sealed key opens for the endpoint it was given for, and for nothing else."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from msgspec import structs

from bot.endpoints.vault import Vault
from bot.model.errors import GatewrightError

URL = "https://gpu-1.example/v1"
KEY = "sk-the-real-key"
OLD, NEW = Fernet.generate_key(), Fernet.generate_key()


def code(vault: Vault, name: str, entry) -> str:
    with pytest.raises(GatewrightError) as caught:
        vault.open(name, entry)
    assert KEY not in f"{caught.value.what}{caught.value.why}{caught.value.fix}"
    assert entry.base_url not in caught.value.fix, "nobody is led to send the key where the file points now"
    return caught.value.code


def test_what_is_sealed_opens_and_shows_nothing_of_the_key():
    vault = Vault([OLD])
    entry = vault.seal("gpu", URL, KEY, 5)
    assert vault.open("gpu", entry) == KEY
    assert (entry.base_url, entry.added_ms) == (URL, 5)
    assert KEY not in entry.sealed
    assert vault.seal("gpu", URL, KEY, 5).sealed != entry.sealed


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("other", {}),
        ("gpu", {"base_url": "https://evil.example/v1"}),
        ("gpu", {"base_url": URL + "/"}),
        ("gpu", {"added_ms": 6}),
    ],
)
def test_a_key_cannot_be_moved_to_another_name_or_url(name, changes):
    vault = Vault([OLD])
    assert code(vault, name, structs.replace(vault.seal("gpu", URL, KEY, 5), **changes)) == "GW-ENDPOINT-MOVED"


def test_another_master_key_opens_nothing():
    assert code(Vault([NEW]), "gpu", Vault([OLD]).seal("gpu", URL, KEY, 5)) == "GW-ENDPOINT-SEAL"


def test_no_single_letter_of_a_sealed_key_can_be_changed():
    vault = Vault([OLD])
    entry = vault.seal("gpu", URL, KEY, 5)
    bare = entry.sealed.rstrip("=")
    for at in range(len(bare) - 1):  # the last letter has bits that stand for nothing
        swapped = bare[:at] + ("A" if bare[at] != "A" else "B") + entry.sealed[at + 1 :]
        assert code(vault, "gpu", structs.replace(entry, sealed=swapped)) == "GW-ENDPOINT-SEAL"


@pytest.mark.parametrize("sealed", ["", "x", "\u202e", "gAAAAA==", "A" * 100_000])
def test_what_was_never_sealed_opens_nothing(sealed):
    vault = Vault([OLD])
    assert code(vault, "gpu", structs.replace(vault.seal("gpu", URL, KEY, 5), sealed=sealed)) == "GW-ENDPOINT-SEAL"


def test_what_a_master_key_sealed_for_another_purpose_is_no_endpoint():
    entry = structs.replace(Vault([OLD]).seal("gpu", URL, KEY, 5), sealed=Fernet(OLD).encrypt(b'{"key": "x"}').decode())
    assert code(Vault([OLD]), "gpu", entry) == "GW-ENDPOINT-SEAL"


def test_the_older_master_key_opens_and_the_newest_seals():
    both = Vault([NEW, OLD])
    assert both.open("gpu", Vault([OLD]).seal("gpu", URL, KEY, 5)) == KEY
    assert Vault([NEW]).open("gpu", both.seal("gpu", URL, KEY, 5)) == KEY


def test_a_fingerprint_names_a_key_to_those_who_have_the_master_key():
    vault = Vault([OLD])
    assert vault.fingerprint(KEY) == Vault([OLD, NEW]).fingerprint(KEY)
    assert vault.fingerprint(KEY) != vault.fingerprint(KEY + "x")
    assert vault.fingerprint(KEY) != Vault([NEW]).fingerprint(KEY)
    assert len(vault.fingerprint(KEY)) == 16
