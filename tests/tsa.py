"""A time-stamping authority of a test's own: OpenSSL answers, behind a socket of this machine."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

_CONFIG = """
[ tsa ]
default_tsa = here
[ here ]
serial = {folder}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.3.6.1.4.1.32473.1
digests = sha256, sha512
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""
_EXTENSIONS = "extendedKeyUsage=critical,timeStamping\nbasicConstraints=CA:FALSE\n"


@dataclass
class Authority:
    """Its folder, where it listens, and what it was asked; with `answer` it says that instead."""

    folder: Path
    url: str = ""
    asked: list[bytes] = field(default_factory=list)
    answer: bytes | None = None
    status: int = 200

    @property
    def roots(self) -> Path:
        return self.folder / "ca.pem"

    def stamp(self, query: bytes) -> bytes:
        """Answer a query as OpenSSL does."""
        (self.folder / "query.tsq").write_bytes(query)
        asks = ["ts", "-reply", "-queryfile", "query.tsq", "-config", "tsa.cnf", "-out", "answer.tsr"]
        _openssl(self.folder, *asks, "-signer", "tsa.pem", "-inkey", "tsa.key")
        return (self.folder / "answer.tsr").read_bytes()

    async def handle(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/timestamp-query"
        self.asked.append(await request.read())
        content = self.stamp(self.asked[-1]) if self.answer is None else self.answer
        return web.Response(status=self.status, body=content, content_type="application/timestamp-reply")


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Authority]:
    """Make certificates in a folder, and answer until the end."""
    folder.mkdir(parents=True)
    authority = Authority(folder)
    _certify(folder)
    app = web.Application()
    app.router.add_post("/", authority.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    authority.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield authority
    finally:
        await runner.cleanup()


def _certify(folder: Path) -> None:
    (folder / "tsa.cnf").write_text(_CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")
    (folder / "ext").write_text(_EXTENSIONS)
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _openssl(folder, *new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test CA")
    _openssl(folder, *new, "-new", "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=Test TSA")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext"]
    _openssl(folder, "x509", "-req", "-in", "tsa.csr", "-out", "tsa.pem", *signed)


def _openssl(folder: Path, *words: str) -> None:
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
