"""Content is kept once, whole, read-only, and under its own SHA-256."""

import hashlib
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from case_store.blobs import Blobs, ContentDamaged, NoSuchContent, TooLarge

CONTENT = b"Received: from nowhere\r\n" * 1000


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "evidence")


async def test_content_lies_under_its_sha256_and_cannot_be_written(blobs: Blobs) -> None:
    stored = await blobs.put(CONTENT)
    assert stored.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert stored.size == len(CONTENT)
    assert stored.path.parts[-2:] == (stored.sha256[:2], stored.sha256[2:])
    assert stat.S_IMODE(stored.path.stat().st_mode) == 0o400
    assert await blobs.read(stored.sha256) == CONTENT
    with blobs.open(stored.sha256) as file:
        assert file.read() == CONTENT


async def test_a_file_and_a_stream_are_the_same_as_bytes(blobs: Blobs, tmp_path: Path) -> None:
    source = tmp_path / "mail.eml"
    source.write_bytes(CONTENT)
    first = await blobs.put(CONTENT)
    assert await blobs.put(source) == first
    assert await blobs.put(chunks(CONTENT[:7], b"", CONTENT[7:])) == first
    assert len(files(tmp_path / "evidence")) == 1


async def test_nothing_stays_of_content_that_is_too_large(tmp_path: Path) -> None:
    small = Blobs(tmp_path, limit=10)
    with pytest.raises(TooLarge, match="larger than 10 bytes"):
        await small.put(chunks(b"12345", b"678901"))
    assert files(tmp_path) == []
    assert (await small.put(b"1234567890")).size == 10


async def test_nothing_stays_of_a_stream_that_breaks(blobs: Blobs, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"first"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await blobs.put(broken())
    assert files(tmp_path) == []


async def test_bytes_reach_the_disk_before_they_get_their_name(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut a name without its bytes would be evidence that cannot be shown."""
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def watched_replace(self: Path, target: Path) -> Path:
        order.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    await blobs.put(CONTENT)
    assert order == ["file", "rename", "folder", "folder"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 64 + "\n"])
async def test_only_a_sha256_opens_anything(blobs: Blobs, name: str) -> None:
    with pytest.raises(NoSuchContent, match="is not a SHA-256"):
        blobs.open(name)


async def test_content_that_was_never_kept(blobs: Blobs) -> None:
    with pytest.raises(NoSuchContent, match="nothing is kept under 000"):
        await blobs.read("0" * 64)


async def test_changed_bytes_are_noticed_when_read(blobs: Blobs) -> None:
    stored = await blobs.put(CONTENT)
    stored.path.chmod(0o600)
    stored.path.write_bytes(CONTENT.replace(b"nowhere", b"elsewhe"))
    with pytest.raises(ContentDamaged):
        await blobs.read(stored.sha256)


async def test_putting_the_right_bytes_repairs_a_cut_file(blobs: Blobs) -> None:
    stored = await blobs.put(CONTENT)
    stored.path.chmod(0o600)
    stored.path.write_bytes(b"")
    await blobs.put(CONTENT)
    assert await blobs.read(stored.sha256) == CONTENT
