"""Signed notes: others' example is accepted, our own are, and nothing else is."""

import subprocess
from base64 import b64decode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from case_store.audit import keys
from case_store.audit.checkpoints import Checkpoint, NoteRefused, Signer, VerifierKey, opened, witnessed
from case_store.errors import AuditKeyUnusable

# The example of the C2SP specification of signed notes.
EXAMPLE_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
EXAMPLE_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
EXAMPLE_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
EXAMPLE = f"{EXAMPLE_TEXT}\n— PeterNeumann {EXAMPLE_SIGNATURE}\n"
SIGNER = Signer("soc.example/audit", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
CHECKPOINT = Checkpoint("soc.example/audit", 1204, bytes(32))
AT = 1_772_000_000


def test_the_example_of_the_specification_is_accepted():
    assert opened(EXAMPLE, VerifierKey.parse(EXAMPLE_KEY)) == EXAMPLE_TEXT
    assert str(VerifierKey.parse(EXAMPLE_KEY)) == EXAMPLE_KEY


def test_a_checkpoint_comes_back_from_its_note():
    note = SIGNER.sign_at(CHECKPOINT.text(), AT)
    key = VerifierKey.parse(str(SIGNER.verifier()))
    assert Checkpoint.parse(opened(note, key)) == CHECKPOINT
    assert witnessed(note, key.as_witness()) == AT
    assert note.startswith("soc.example/audit\n1204\nAAAA")


@pytest.mark.parametrize(
    ("old", "new"),
    [("1204", "1205"), ("AAAA", "AAAB"), ("\n1204", "\n1204 "), ("soc.example/audit\n", "soc.example/audit2\n")],
)
def test_a_changed_note_is_refused(old: str, new: str):
    note = SIGNER.sign_at(CHECKPOINT.text(), AT).replace(old, new, 1)
    with pytest.raises(NoteRefused):
        opened(note, SIGNER.verifier())
    with pytest.raises(NoteRefused):
        witnessed(note, SIGNER.verifier().as_witness())


def test_another_key_of_the_same_name_has_not_signed():
    other = Signer(SIGNER.name, Ed25519PrivateKey.generate())
    with pytest.raises(NoteRefused, match="has not signed"):
        opened(SIGNER.sign(CHECKPOINT.text()), other.verifier())


@pytest.mark.parametrize(
    "text",
    ["", "name", "name+00000000+AAAA", EXAMPLE_KEY.replace("c74f", "c74e"), EXAMPLE_KEY.replace("Peter", "Pet r")],
)
def test_what_is_no_verifier_key_is_refused(text: str):
    with pytest.raises(NoteRefused):
        VerifierKey.parse(text)


@pytest.mark.parametrize("text", ["", "a\n1\n", "a\n01\nAAAA\n", "a\n-1\nAAAA\n", "a\n1\nAAAA\n", "a\n1\n!!!!\n"])
def test_what_is_no_checkpoint_is_refused(text: str):
    with pytest.raises(NoteRefused):
        Checkpoint.parse(text)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\nbreak", "x" * 201])
def test_a_name_that_would_break_the_format_is_refused(name: str):
    with pytest.raises(NoteRefused):
        Signer(name, Ed25519PrivateKey.generate())


def test_openssl_agrees(tmp_path: Path):
    note = SIGNER.sign(CHECKPOINT.text())
    public = SIGNER.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "key.pem").write_bytes(public)
    (tmp_path / "text").write_text(CHECKPOINT.text())
    (tmp_path / "signature").write_bytes(b64decode(note.split()[-1])[4:])
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "text"]
    done = subprocess.run(
        [*command, "-sigfile", "signature"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "Signature Verified Successfully" in done.stdout, done.stderr


class TestTheKey:
    def test_is_made_once_and_only_its_owner_reads_it(self, tmp_path: Path):
        first, second = keys.load_or_create(tmp_path / "keys"), keys.load_or_create(tmp_path / "keys")
        assert first.verifier() == second.verifier() == keys.public_key(tmp_path / "keys")
        assert (tmp_path / "keys" / keys.PRIVATE).stat().st_mode & 0o777 == 0o600
        assert sorted(one.name for one in (tmp_path / "keys").iterdir()) == [keys.PRIVATE, keys.PUBLIC]

    def test_is_in_no_repr(self, tmp_path: Path):
        signer = keys.load_or_create(tmp_path)
        assert signer.private.private_bytes_raw().hex() not in repr(signer)

    @pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n"])
    def test_that_cannot_be_read_is_named_and_never_replaced(self, tmp_path: Path, content: bytes):
        file = tmp_path / keys.PRIVATE
        file.write_bytes(content)
        with pytest.raises(AuditKeyUnusable, match=keys.PRIVATE):
            keys.load_or_create(tmp_path)
        assert file.read_bytes() == content

    def test_that_is_missing_is_said(self, tmp_path: Path):
        with pytest.raises(AuditKeyUnusable, match=keys.PUBLIC):
            keys.public_key(tmp_path)
