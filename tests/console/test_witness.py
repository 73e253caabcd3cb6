"""The witness as a process: what it prints, answers, remembers and survives; and the key and status commands."""

import asyncio
import os
import re
import signal
import sys
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Self

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from case_store.audit import keys, verifier
from case_store.audit.checkpoints import Checkpoint, Signer, VerifierKey, witnessed
from case_store.audit.merkle import leaf_hash, root_of
from case_store.audit.proofs import consistency
from case_store.audit.witness import PATH, SIZE_TYPE, Request

LEAVES = [leaf_hash(b"%d" % number) for number in range(400)]
AT = 1_772_000_000


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return keys.load_or_create(tmp_path / "log")


def request(signer: Signer, old: int, new: int) -> bytes:
    spans = consistency(old, new) if old else []
    proof = tuple(root_of(LEAVES[span.start : span.end]) for span in spans)
    note = signer.sign_at(Checkpoint(signer.name, new, root_of(LEAVES[:new])).text(), AT)
    return Request(old, proof, note).text().encode()


class Witness:
    """A witness in a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._words = [
            "witness",
            "--log-key",
            str(folder / "log" / keys.PUBLIC),
            "--state",
            str(folder / "w"),
            *options,
        ]
        self.lines: list[str] = []

    async def __aenter__(self) -> Self:
        command = [sys.executable, "-m", "console", *self._words, "--port", "0"]
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=dict(os.environ))
        assert self.process.stdout is not None
        while not (self.lines and self.lines[-1].startswith("log ")):
            line = (await self.process.stdout.readline()).decode()
            assert line, await self.errors()
            self.lines.append(line.rstrip())
        self.url = next(line for line in self.lines if line.startswith("listens on ")).removeprefix("listens on ")
        self.key = VerifierKey.parse(self.lines[0].removeprefix("witness "))
        return self

    async def errors(self) -> str:
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()

    async def post(self, content: bytes) -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.post(self.url + PATH, content=content)

    async def end(self, number: signal.Signals) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.process.wait()

    async def __aexit__(self, *_error: object) -> None:
        await self.end(signal.SIGKILL)


async def test_it_says_its_key_and_how_to_register_it_and_answers_as_the_protocol_says(signer: Signer, tmp_path: Path):
    async with Witness(tmp_path, "--name", "witness.example/w1") as witness:
        assert witness.key.name == "witness.example/w1"
        assert f"CASEWRIGHT_WITNESSES='{witness.url} {witness.key}'" in "\n".join(witness.lines)
        assert witness.url.startswith("http://127.0.0.1:")
        good = await witness.post(request(signer, 0, 5))
        assert good.status_code == 200
        assert witnessed(request(signer, 0, 5).decode().partition("\n\n")[2] + good.text, witness.key) > AT
        behind = await witness.post(request(signer, 0, 7))
        assert (behind.status_code, behind.text) == (409, "5\n")
        assert behind.headers["Content-Type"] == SIZE_TYPE
        forged = request(signer, 5, 7).replace(b"old 5\n", f"old 5\n{b64encode(bytes(32)).decode()}\n".encode())
        stranger = Signer(signer.name, Ed25519PrivateKey.generate())
        other = Signer("other.example/audit", signer.private)
        for content, status in (
            (forged, 422),
            (request(stranger, 5, 7), 403),
            (request(other, 5, 7), 404),
            (b"nonsense", 400),
            (b"x" * 70_000, 413),
        ):
            assert (await witness.post(content)).status_code == status
        assert (await witness.post(request(signer, 5, 7))).status_code == 200
        assert await witness.end(signal.SIGTERM) == 0
        said = await witness.errors()
        assert "confirmed 7 events" in said
        assert "Traceback" not in said


async def test_two_requests_at_once_confirm_one_history(signer: Signer, tmp_path: Path):
    async with Witness(tmp_path) as witness:
        assert (await witness.post(request(signer, 0, 5))).status_code == 200
        answers = await asyncio.gather(*(witness.post(request(signer, 5, new)) for new in range(6, 26)))
        assert sorted(one.status_code for one in answers) == [200] + [409] * 19
        (size,) = {one.text for one in answers if one.status_code == 409}
        again = await witness.post(request(signer, int(size), int(size)))
        assert again.status_code == 200


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.slow)], ids=["short", "long"])
async def test_what_it_confirmed_it_remembers_whenever_it_is_killed(signer: Signer, tmp_path: Path, kills: int):
    confirmed = 0
    for kill in range(kills):
        async with Witness(tmp_path) as witness:
            known = re.search(r": (\d+) events were confirmed last", witness.lines[-1])
            remembered = int(known[1]) if known else 0
            assert remembered >= confirmed
            confirmed = remembered
            async with httpx.AsyncClient() as client:
                with suppress(httpx.TransportError):
                    while True:
                        if confirmed == remembered + 2 + kill % 3:  # during the next request, or just after it
                            asyncio.get_running_loop().call_later(0.001 * (kill % 4), witness.process.kill)
                        content = request(signer, confirmed, confirmed + 1)
                        answer = await client.post(witness.url + PATH, content=content)
                        assert answer.status_code == 200
                        confirmed += 1
            assert confirmed >= remembered + 2
            await witness.end(signal.SIGKILL)
    async with Witness(tmp_path) as witness:
        assert "events were confirmed last" in witness.lines[-1]


async def test_a_second_one_on_the_same_folder_is_refused(signer: Signer, tmp_path: Path, casewright):
    async with Witness(tmp_path):
        words = ["witness", "--log-key", tmp_path / "log" / keys.PUBLIC, "--state", tmp_path / "w", "--port", "0"]
        refused = await asyncio.to_thread(casewright, *words)
        assert refused.code == 1
        assert "another witness runs" in refused.err


@pytest.mark.parametrize("content", [None, "", "nonsense", "witness"])
def test_a_key_that_is_none_of_a_log_is_refused(signer: Signer, casewright, tmp_path: Path, content: str | None):
    file = tmp_path / "odd.vkey"
    if content is not None:
        file.write_text(content if content != "witness" else str(signer.verifier().as_witness()))
    refused = casewright("witness", "--log-key", file)
    assert refused.code == 1
    assert "casewright audit key" in refused.err
    assert casewright("witness").code == 2


def test_a_port_that_is_taken_is_said(signer: Signer, casewright, tmp_path: Path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ["witness", "--log-key", tmp_path / "log" / keys.PUBLIC, "--state", tmp_path / "w", "--port", port]
        refused = casewright(*words)
    assert (refused.code, str(port) in refused.err) == (1, True)
    assert "--port 0" in refused.err


class TestTheLogsSide:
    @pytest.fixture
    def sealing(self, filled: Path, home: Path) -> Path:
        keys.load_or_create(home / "keys")
        return home / "keys"

    def test_a_key_is_changed_and_old_and_new_verify(self, sealing: Path, casewright, tmp_path: Path):
        (tmp_path / "old.vkey").write_text(casewright("audit", "key").out)
        casewright("audit", "export", "--bundle", tmp_path / "before.zip")
        (tmp_path / "saved.txt").write_text(casewright("audit", "checkpoint").out)
        rotated = casewright("audit", "key", "rotate")
        assert rotated.code == 0, rotated.err
        assert "kept as" in rotated.out
        assert casewright("audit", "key").out.strip() in rotated.out
        written = casewright("audit", "export", "--bundle", tmp_path / "after.zip")
        assert written.code == 0, written.err
        old = casewright(
            "audit",
            "verify",
            tmp_path / "after.zip",
            "--key",
            tmp_path / "old.vkey",
            "--checkpoint",
            tmp_path / "saved.txt",
        )
        assert (old.code, "your key is older" in old.out) == (0, True), old.out
        assert casewright("audit", "verify", tmp_path / "after.zip").code == 0
        looked = casewright(
            "audit", "verify", "--log", "--key", tmp_path / "old.vkey", "--checkpoint", tmp_path / "saved.txt"
        )
        assert looked.code == 0, looked.out + looked.err
        assert casewright("audit", "verify", "--log", "--checkpoint", tmp_path / "saved.txt").code == 0
        listed = casewright("audit", "key", "history", "--json").json["keys"]
        assert [one["number"] for one in listed] == [1, 2]
        statements = casewright("audit", "key", "history", "--statements").out
        assert statements == listed[1]["statement"]
        destroyed = casewright("audit", "key", "rotate", "--destroy-old")
        assert "not kept" in destroyed.out
        assert len(list(sealing.glob("*.pem"))) == 2

    def test_a_folder_with_another_key_is_refused(self, sealing: Path, casewright, tmp_path: Path, monkeypatch):
        casewright("audit", "export", "--bundle", tmp_path / "one.zip")
        monkeypatch.setenv("CASEWRIGHT_KEY_FOLDER", str(tmp_path / "other"))
        keys.load_or_create(tmp_path / "other")
        refused = casewright("audit", "key", "rotate")
        assert (refused.code, "copy the key folder" in refused.err) == (1, True)

    def test_the_status_is_told_by_its_exit_code(self, sealing: Path, casewright, tmp_path: Path, monkeypatch):
        stopped = casewright("audit", "status")
        assert (stopped.code, "next:" in stopped.err) == (verifier.CODES["stale"], True)
        casewright("audit", "export", "--bundle", tmp_path / "all.zip")
        well = casewright("audit", "status", "--json")
        assert (well.code, well.json["waiting"], well.json["faults"]) == (0, 0, [])
        assert well.json["key"] == casewright("audit", "key").out.strip()
        witness = Signer("w", Ed25519PrivateKey.generate()).verifier().as_witness()
        monkeypatch.setenv("CASEWRIGHT_WITNESSES", f"http://127.0.0.1:9 {witness}")
        nobody = casewright("audit", "status")
        assert (nobody.code, "the witness w has confirmed nothing" in nobody.err) == (
            verifier.CODES["unwitnessed"],
            True,
        )
        monkeypatch.setenv("CASEWRIGHT_WITNESSES", "nonsense")
        assert "CASEWRIGHT_WITNESSES" in casewright("audit", "status").err
