"""Files and syslog servers as sinks: what arrives, and that nothing counts that may not have arrived."""

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from case_store.sinks.address import parse
from case_store.sinks.carriers import carrier
from case_store.sinks.contract import Line, SinkDown
from case_store.sinks.files import FileSink
from case_store.sinks.syslog import SyslogSink
from tests.syslog import Parsed, SyslogServer

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
STREAMS = ["tcp", "tls"]


def lines(first: int = 0, count: int = 5, text: str = "event {}") -> list[Line]:
    return [Line(text.format(n), AT, "test.noted", {"idx": str(n)}) for n in range(first, first + count)]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def server_side(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


def sink(how: str, port: int, ca: Path | None = None, within: float = 20) -> SyslogSink:
    trusted = f"?ca={ca}" if ca and how == "tls" else ""
    return SyslogSink(parse(f"syslog+{how}://localhost:{port}{trusted}", "events"), within)


@pytest.fixture(params=STREAMS)
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(how: str, authority: trustme.CA) -> Iterator[SyslogServer]:
    with SyslogServer(server_side(authority) if how == "tls" else None) as one:
        yield one


class TestStream:
    def test_takes_everything_in_order_and_has_read_it_before_the_delivery_ends(
        self, how: str, server: SyslogServer, ca: Path
    ):
        sink(how, server.port, ca).deliver(lines(0, 300, "event {} Ü\n with a line break and 12 34"))
        found = [Parsed.of(one) for one in server.messages]
        assert server.rest == b""
        assert [one.data["idx"] for one in found] == [str(n) for n in range(300)]
        assert found[7].text == "event 7 Ü\n with a line break and 12 34"

    def test_takes_a_message_of_any_length(self, how: str, server: SyslogServer, ca: Path):
        sink(how, server.port, ca).deliver(lines(0, 2, "{} " + "x" * 3_000_000))
        assert [len(one) > 3_000_000 for one in server.messages] == [True, True]

    def test_a_server_that_dies_in_the_middle_has_not_taken_them(self, how: str, server: SyslogServer, ca: Path):
        server.resets_after = 3
        with pytest.raises(SinkDown):
            sink(how, server.port, ca).deliver(lines(0, 2000, "{} " + "x" * 500))

    def test_a_server_that_dies_after_the_last_byte_was_sent_has_not_taken_them(
        self, how: str, server: SyslogServer, ca: Path
    ):
        """All fits into the buffers of the kernel: a sender that only writes would call this delivered."""
        server.resets_after = 3
        with pytest.raises(SinkDown):
            sink(how, server.port, ca).deliver(lines(0, 5))
        assert len(server.messages) == 3

    def test_a_server_that_hangs_is_given_up(self, how: str, server: SyslogServer, ca: Path):
        server.hangs = True
        with pytest.raises(SinkDown, match="in time"):
            sink(how, server.port, ca, within=0.3).deliver(lines())

    def test_nobody_there_is_said_with_the_place(self, how: str, ca: Path):
        with socket.create_server(("127.0.0.1", 0)) as bound:
            port = bound.getsockname()[1]
        with pytest.raises(SinkDown, match=rf"localhost:{port}: Connection refused"):
            sink(how, port, ca).deliver(lines())


class TestTls:
    @pytest.fixture
    def how(self) -> str:
        return "tls"

    def test_a_server_of_another_name_is_refused_and_gets_nothing(self, authority: trustme.CA, ca: Path):
        with SyslogServer(server_side(authority, "other.example")) as server:
            with pytest.raises(SinkDown, match="not trusted"):
                sink("tls", server.port, ca).deliver(lines())
            assert server.messages == []

    def test_a_server_that_nobody_vouches_for_is_refused_and_gets_nothing(self, authority: trustme.CA, ca: Path):
        with SyslogServer(server_side(trustme.CA())) as server:
            with pytest.raises(SinkDown, match="not trusted") as refused:
                sink("tls", server.port, ca).deliver(lines())
            assert "?ca=FILE" in refused.value.next_step
            with pytest.raises(SinkDown, match="not trusted"):
                sink("tls", server.port).deliver(lines())
            assert server.messages == []

    def test_an_end_that_is_not_signed_does_not_count(self, server: SyslogServer, ca: Path):
        server.answers_the_end = False
        with pytest.raises(SinkDown, match="before it had confirmed"):
            sink("tls", server.port, ca).deliver(lines())

    def test_certificates_that_cannot_be_read_are_said(self, server: SyslogServer, tmp_path: Path):
        (tmp_path / "none.pem").write_text("nothing")
        for path in ("missing.pem", "none.pem"):
            with pytest.raises(SinkDown, match="cannot be read"):
                sink("tls", server.port, tmp_path / path).deliver(lines())

    def test_a_server_that_speaks_no_tls_is_refused(self, ca: Path):
        with SyslogServer() as server, pytest.raises(SinkDown):
            sink("tls", server.port, ca, within=2).deliver(lines())


class TestUdp:
    def test_each_message_is_a_datagram(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            server.settimeout(10)
            address = parse(f"syslog+udp://127.0.0.1:{server.getsockname()[1]}", "events")
            SyslogSink(address).deliver([*lines(0, 3), Line("x" * 100_000, AT, "test.noted", {"idx": "3"})])
            found = [Parsed.of(server.recv(100_000)) for _ in range(4)]
        assert [one.data["idx"] for one in found] == ["0", "1", "2", "3"]
        assert [one.text for one in found] == ["event 0", "event 1", "event 2", ""]

    def test_a_port_where_nobody_listens_is_told_where_the_system_says_so(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(SinkDown, match="refused"):
            SyslogSink(parse(f"syslog+udp://127.0.0.1:{port}", "events")).deliver(lines())


class TestFile:
    def test_lines_are_appended(self, tmp_path: Path):
        path = tmp_path / "out.jsonl"
        FileSink(str(path)).deliver(lines(0, 2))
        FileSink(str(path)).deliver(lines(2, 1))
        assert path.read_text() == "event 0\nevent 1\nevent 2\n"
        assert path.stat().st_mode & 0o007 == 0

    def test_a_file_that_was_moved_away_is_begun_anew(self, tmp_path: Path):
        path, one = tmp_path / "out.jsonl", FileSink(str(tmp_path / "out.jsonl"))
        one.deliver(lines(0, 2))
        path.rename(tmp_path / "out.jsonl.1")
        one.deliver(lines(2, 1))
        assert path.read_text() == "event 2\n"
        assert (tmp_path / "out.jsonl.1").read_text() == "event 0\nevent 1\n"

    def test_a_file_of_csv_begins_with_the_names_of_its_columns(self, tmp_path: Path):
        path, one = tmp_path / "out.csv", carrier(parse(f"file://{tmp_path}/out.csv?format=csv", "events"))
        for start in (0, 2):
            one.deliver(lines(start, 2))
        assert path.read_text().splitlines()[1:] == ["event 0", "event 1", "event 2", "event 3"]
        assert path.read_text().startswith('"log index","number in stream",')
        path.rename(tmp_path / "out.csv.1")
        one.deliver(lines(4, 1))
        assert path.read_text().splitlines()[1:] == ["event 4"]
        carrier(parse(f"file://{tmp_path}/points", "checkpoints")).deliver(lines(0, 1))
        assert (tmp_path / "points").read_text() == "event 0\n"

    def test_a_full_disk_is_said(self):
        with pytest.raises(SinkDown, match="/dev/full: No space left"):
            FileSink("/dev/full").deliver(lines())

    def test_what_was_written_halfway_is_taken_back(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        path = tmp_path / "out.jsonl"
        FileSink(str(path)).deliver(lines(0, 1))
        write = os.write
        calls = iter([True])

        def full(file: int, content: bytes) -> int:
            if next(calls, False):
                return write(file, bytes(content)[:12])
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            with pytest.raises(SinkDown, match="No space"):
                FileSink(str(path)).deliver(lines(1, 3))
        assert path.read_text() == "event 0\n"

    def test_a_torn_line_stands_alone(self, tmp_path: Path):
        path = tmp_path / "out.jsonl"
        path.write_text("event 0\neve")
        FileSink(str(path)).deliver(lines(1, 2))
        assert path.read_text() == "event 0\neve\nevent 1\nevent 2\n"

    def test_a_folder_that_is_not_there_is_said(self, tmp_path: Path):
        with pytest.raises(SinkDown, match="No such file"):
            FileSink(str(tmp_path / "none" / "out.jsonl")).deliver(lines())

    def test_a_pipe_that_nobody_reads_holds_nobody_up(self, tmp_path: Path):
        os.mkfifo(tmp_path / "pipe")
        thread = threading.Thread(target=self._deliver, args=(tmp_path / "pipe",), daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()

    @staticmethod
    def _deliver(path: Path) -> None:
        with pytest.raises(SinkDown):
            FileSink(str(path)).deliver([Line("x" * 1_000_000, AT, "a", {})])
