from __future__ import annotations

import os
import stat
import subprocess
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from bot.audit.keys import BoxError, InstanceKey, KeyFileError, Opener, VKey, seal, verify


class TestInstanceKey:
    def test_it_is_made_once_and_read_again(self, tmp_path):
        path = tmp_path / "keys" / "instance.pem"
        first = InstanceKey.load_or_create(path)
        again = InstanceKey.load_or_create(path)

        assert first.public == again.public
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert [entry.name for entry in path.parent.iterdir()] == ["instance.pem"]

    def test_secrets_for_other_purposes_are_derived_from_it(self, tmp_path):
        key = InstanceKey.load_or_create(tmp_path / "instance.pem")
        again = InstanceKey.load_or_create(tmp_path / "instance.pem")

        assert key.derive("marker") == again.derive("marker")
        assert len(key.derive("marker")) == 32
        assert len({key.derive("marker"), key.derive("other"), InstanceKey.generate().derive("marker")}) == 3

    def test_many_that_begin_at_once_agree_on_one_key(self, tmp_path):
        path, keys = tmp_path / "instance.pem", []
        threads = [threading.Thread(target=lambda: keys.append(InstanceKey.load_or_create(path))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(keys) == 8
        assert len({key.public for key in keys}) == 1

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
    def test_a_file_that_others_may_read_is_refused(self, tmp_path, mode):
        path = tmp_path / "instance.pem"
        InstanceKey.load_or_create(path)
        path.chmod(mode)

        with pytest.raises(KeyFileError) as refused:
            InstanceKey.load_or_create(path)
        assert refused.value.code == "GW-KEY-MODE"
        assert "chmod 600" in refused.value.fix

    def test_a_link_is_not_followed(self, tmp_path):
        InstanceKey.load_or_create(tmp_path / "real.pem")
        (tmp_path / "instance.pem").symlink_to(tmp_path / "real.pem")

        with pytest.raises(KeyFileError, match="cannot read"):
            InstanceKey.load_or_create(tmp_path / "instance.pem")

    def test_something_that_is_no_ed25519_key_is_refused_and_kept(self, tmp_path):
        rsa = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for content in (b"", b"nonsense", rsa):
            path = tmp_path / "instance.pem"
            path.write_bytes(content)
            path.chmod(0o600)
            with pytest.raises(KeyFileError) as refused:
                InstanceKey.load_or_create(path)
            assert refused.value.code == "GW-KEY-FORM"
            assert path.read_bytes() == content

    def test_what_it_signs_verifies_and_nothing_else_does(self):
        key, other = InstanceKey.generate(), InstanceKey.generate()
        signature = key.sign(b"message")

        assert verify(key.public, b"message", signature)
        assert not verify(key.public, b"massage", signature)
        assert not verify(other.public, b"message", signature)
        assert not verify(key.public, b"message", b"")
        assert not verify(b"short", b"message", signature)

    def test_openssl_reads_the_key_and_makes_the_same_signature(self, tmp_path):
        key = InstanceKey.load_or_create(tmp_path / "instance.pem")
        (tmp_path / "message").write_bytes(b"message")
        made = subprocess.run(
            ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", "instance.pem", "-in", "message"],
            cwd=tmp_path, capture_output=True, check=True,
        )  # fmt: skip

        assert made.stdout == key.sign(b"message")


class TestVKey:
    def test_it_reads_what_it_writes(self):
        key = InstanceKey.generate()

        assert VKey.parse(key.vkey("gw-bank-1")) == VKey("gw-bank-1", key.public)

    def test_a_key_from_the_notes_of_a_public_log_is_understood(self):
        # The example of the signed-note documentation (golang.org/x/mod/sumdb/note).
        text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

        assert str(VKey.parse(text)) == text

    @pytest.mark.parametrize(
        "text", ["", "name", "name+00000000", "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                 "a b+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "x+c74f20a3+AAAA", "x+c74f20a3+!!!!"],
    )  # fmt: skip
    def test_others_are_refused(self, text):
        with pytest.raises(ValueError):
            VKey.parse(text)

    @pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
    def test_a_name_must_not_break_the_form(self, name):
        with pytest.raises(ValueError, match="not a key name"):
            InstanceKey.generate().vkey(name)


class TestBox:
    @given(st.binary(max_size=200), st.binary(max_size=60))
    def test_it_opens_for_whom_and_where_it_was_sealed(self, plaintext, context):
        opener = Opener()
        sealed = seal(opener.public, plaintext, context)

        assert opener.open(sealed, context) == plaintext
        assert len(sealed) == len(plaintext) + 48
        with pytest.raises(BoxError):
            opener.open(sealed, context + b"x")
        with pytest.raises(BoxError):
            Opener().open(sealed, context)

    def test_every_altered_byte_keeps_it_shut(self):
        opener = Opener()
        sealed = seal(opener.public, b"token", b"42-k7f3qd:3")
        for at in range(len(sealed)):
            altered = bytearray(sealed)
            altered[at] ^= 1
            with pytest.raises(BoxError):
                opener.open(bytes(altered), b"42-k7f3qd:3")

    @pytest.mark.parametrize("sealed", [b"", bytes(32), bytes(48), os.urandom(47)])
    def test_noise_does_not_open(self, sealed):
        with pytest.raises(BoxError):
            Opener().open(sealed, b"")

    def test_equal_texts_look_unequal(self):
        public = Opener().public

        assert seal(public, b"token", b"") != seal(public, b"token", b"")
