import hashlib
import io
import zipfile
from typing import BinaryIO

import pytest

from flows.actions.contract import ActionFailed, EvidenceFacts, Result
from flows.actions.file import identify
from flows.actions.testing import MemoryContext, call

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n%%EOF\n"
EXE = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0" + b"\0" * 44 + b"\x40\0\0\0" + b"PE\0\0\x4c\x01" + b"\0" * 200


async def identified(name: str, content: bytes) -> Result:
    context = MemoryContext()
    piece = context.attach(name, content)
    return await call(identify, context, evidence=piece.id)


async def test_type_size_and_hashes() -> None:
    result = await identified("a.pdf", PDF)
    hashes = {one: hashlib.new(one, PDF).hexdigest() for one in ("md5", "sha1", "sha256")}
    assert result.fields == {
        "media_type": "application/pdf",
        "size": len(PDF),
        "extension": ".pdf",
        "extension_fits": True,
        "double_extension": False,
        **hashes,
    }
    assert sorted(result.observables) == sorted(hashes.items())


def docx() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<w/>")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "fits"),
    [
        ("a.exe", EXE, True),
        ("a.pdf", EXE, False),
        ("a.PDF", PDF, True),
        ("a.jpg", PDF, False),
        ("a.docx", docx(), True),
        ("a.txt", b"hello\n", True),
        ("a.json", b'{"a": 1}\n', True),
        ("a.ps1", b"Write-Host hello\n", True),
        ("noextension", EXE, True),
        ("a.nobody-knows", EXE, True),
        ("empty.txt", b"", True),
    ],
)
async def test_the_name_is_compared_with_the_bytes(name: str, content: bytes, fits: bool) -> None:
    assert (await identified(name, content)).fields["extension_fits"] is fits


@pytest.mark.parametrize(
    ("name", "disguised"),
    [
        ("invoice.pdf.exe", True),
        ("Photo.JPG.scr", True),
        ("setup.exe", False),
        ("a.tar.gz", False),
        ("v1.2.exe", False),
    ],
)
async def test_a_document_that_is_a_program_by_its_last_ending(name: str, disguised: bool) -> None:
    assert (await identified(name, EXE)).fields["double_extension"] is disguised


async def test_an_empty_file_has_no_hashes_worth_looking_for() -> None:
    result = await identified("a.txt", b"")
    assert (result.fields["size"], result.observables) == (0, [])


async def test_evidence_that_was_changed_on_disk_is_reported() -> None:
    class Tampered(MemoryContext):
        def open(self, evidence: EvidenceFacts) -> BinaryIO:
            return io.BytesIO(super().open(evidence).read() + b"!")

    context = Tampered()
    piece = context.attach("a.txt", b"hello")
    with pytest.raises(ActionFailed, match="SHA-256 that is on record"):
        await call(identify, context, evidence=piece.id)


async def test_evidence_that_is_not_there_is_refused() -> None:
    with pytest.raises(ActionFailed, match="no evidence"):
        await call(identify, MemoryContext(), evidence="nothing")
