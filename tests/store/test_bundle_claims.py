"""What a bundle says about itself is believed only where an event says it, and what a caller gives is told from it."""

import asyncio
import io
import json
import resource
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from case_store.audit import exports, verifier
from case_store.audit.checkpoints import COSIGNATURE, Checkpoint, Signer, cosigned
from case_store.store import Tx
from tests.store.bundles import EARLIER, SIGNER, Files, canonical, filled, make, said, signed, verdict, write
from tests.store.making import NOW


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    """Bundles of one log."""
    return asyncio.run(make(tmp_path_factory.mktemp("log")))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.zip"


def exports_in(files: Files) -> list[int]:
    """The places of the events that tell of an export, but for that of this bundle."""
    kinds = [json.loads(line)["type"] for line in files.events]
    return [place for place, kind in enumerate(kinds[:-1]) if kind == "audit.exported"]


def cut_after(files: Files, place: int) -> Files:
    """A case's bundle that ends at an earlier export, under the checkpoint of today."""
    proofs = b"".join(files.rest["proofs.jsonl"].splitlines(keepends=True)[: place + 1])
    events = files.events[: place + 1]
    cut = replace(files, events=events, rest={**files.rest, "proofs.jsonl": proofs})
    cut = cut.without("evidence/", "report.html", "disclosures.jsonl")
    return cut.claiming(
        export=json.loads(events[-1])["event_id"], events=place + 1, with_evidence=False, with_personal=False
    )


def test_a_case_cut_to_any_earlier_export_is_truncated(made: dict[str, Files], path: Path):
    places = exports_in(made["case"])
    assert len(places) == 3  # a bundle long ago, JSON Lines and OCSF just now
    for place in places:
        assert verdict(cut_after(made["case"], place).write(path)) == "truncated"


@pytest.mark.parametrize("change", [{"scope": "case"}, {"case": 2}, {"export": "not there"}])
def test_a_manifest_that_names_the_event_of_another_export_is_not_believed(
    made: dict[str, Files], path: Path, change: dict[str, object]
):
    for scope in ("all", "case"):
        if change.get("scope") != scope:
            assert verdict(made[scope].claiming(**change).write(path)) != "ok"


def test_the_whole_bundle_does_not_pass_for_that_of_an_earlier_export(made: dict[str, Files], path: Path):
    files = made["all"]
    for place in exports_in(files):
        name = json.loads(files.events[place])["event_id"]
        assert verdict(files.claiming(export=name).write(path)) == "truncated"


def test_an_export_under_a_checkpoint_that_tells_no_time_is_refused(made: dict[str, Files], path: Path):
    """Whoever holds a bundle can take the line with the time away; then nothing says how old the export is."""
    for scope in ("all", "case"):
        plain = (made[scope].checkpoint or "").splitlines(keepends=True)[:5]
        assert verdict(replace(made[scope], checkpoint="".join(plain)).write(path)) == "altered"


def test_an_export_that_nobody_signed_is_truncated(made: dict[str, Files], path: Path):
    """Somebody cuts the end off and writes the event of an export there, which is not in the tree."""
    for scope in ("all", "case"):
        files = made[scope]
        cut = len(files.events) - 1
        forged = canonical({**json.loads(files.events[-1]), "event_id": "forged"})
        changed = replace(files, events=(*files.events[:cut], forged)).claiming(export="forged")
        if scope == "case":
            proofs = b"".join([*files.rest["proofs.jsonl"].splitlines(keepends=True)[:cut], b"null\n"])
            changed = replace(changed, rest={**changed.rest, "proofs.jsonl": proofs})
        else:
            before = signed(replace(files, events=files.events[:cut]))
            changed = replace(changed, checkpoint=before.checkpoint)
        assert verdict(changed.write(path)) == "truncated"


def test_what_it_says_of_a_bundle_moves_no_cursor(made: dict[str, Files], path: Path):
    body = {**json.loads(made["all"].events[-1]), "type": "x\x1b[2J\nEverything holds", "seq": 99}
    word, lines = said(replace(made["all"], events=(*made["all"].events[:-1], canonical(body))).write(path))
    assert word != "ok"
    assert any("\\u001b[2J\\u000aEverything" in line for line in lines)
    assert all(line.isprintable() for line in lines)


def test_it_says_as_of_when_and_by_whom(made: dict[str, Files], path: Path):
    _, lines = said(made["case"].write(path))
    assert "shows CASE-1 as of 2026-03-02T09:30:00.123456Z, exported by system test" in lines[-1]
    _, lines = said(made["all"].write(path))
    assert "shows the whole record as of 2026-03-02T09:30:00.123456Z" in lines[-1]


class TestMaxAge:
    def test_bounds_the_export_as_well_as_the_checkpoint(self, made: dict[str, Files], path: Path):
        """The checkpoint is younger, by as much as an export may wait for it."""
        later = SIGNER.sign_at(_text(made["case"]), int((NOW + timedelta(minutes=4)).timestamp()))
        files = replace(made["case"], checkpoint=later).write(path)
        assert verdict(files, age=timedelta(minutes=10)) == "ok"
        word, lines = said(files, max_age=timedelta(minutes=3))
        assert (word, "export" in lines[-1]) == ("stale", True)

    def test_tells_a_checkpoint_from_the_future(self, made: dict[str, Files], path: Path):
        ahead = SIGNER.sign_at(_text(made["all"]), int((NOW + timedelta(minutes=9)).timestamp()))
        event = replace(made["all"], checkpoint=ahead).write(path)
        word, lines = said(event, max_age=timedelta(days=1), now=NOW)
        assert (word, "future" in lines[-1]) == ("stale", True)

    @pytest.mark.parametrize(
        ("age", "words"),
        [
            (timedelta(days=1), "1 day"),
            (timedelta(hours=36), "36 hours"),
            (timedelta(minutes=10), "10 minutes"),
            (timedelta(seconds=90), "90 seconds"),
            (timedelta(days=30), "30 days"),
        ],
    )
    def test_is_told_in_words(self, made: dict[str, Files], path: Path, age: timedelta, words: str):
        _, lines = said(made["all"].write(path), max_age=age, now=NOW)
        assert any(f"the log was alive within {words}" in line for line in lines)


class TestWhatAnExportTookAlong:
    def test_is_on_record(self, made: dict[str, Files]):
        facts = json.loads(made["case"].events[-1])["facts"]
        lines = made["case"].rest["disclosures.jsonl"].splitlines()
        assert (facts["evidence"], facts["personal"], facts["disclosures"]) == (True, True, len(lines))
        assert lines

    @pytest.mark.parametrize("scope", ["all", "case"])
    def test_evidence_cannot_be_taken_away(self, made: dict[str, Files], path: Path, scope: str):
        files = made[scope].without("evidence/").claiming(with_evidence=False)
        assert verdict(files.write(path)) == "missing"

    @pytest.mark.parametrize("scope", ["all", "case"])
    def test_disclosures_cannot_be_taken_away(self, made: dict[str, Files], path: Path, scope: str):
        files = made[scope].without("disclosures").claiming(with_personal=False)
        assert verdict(files.write(path)) == "missing"

    @pytest.mark.parametrize("scope", ["all", "case"])
    def test_one_disclosure_cannot_be_taken_away(self, made: dict[str, Files], path: Path, scope: str):
        lines = made[scope].rest["disclosures.jsonl"].splitlines(keepends=True)
        for gone in range(len(lines)):
            fewer = b"".join(lines[:gone] + lines[gone + 1 :])
            rest = {**made[scope].rest, "disclosures.jsonl": fewer}
            assert verdict(replace(made[scope], rest=rest).write(path)) == "missing"

    async def test_may_be_less_and_says_so(self, tmp_path: Path, made: dict[str, Files]):
        store = await filled(tmp_path / "home", 3, seed=1)
        out = await write(store, tmp_path / "out.zip", 1, blobs=None, personal=False, report=None)
        await store.close()
        word, lines = said(out)
        assert word == "ok"
        assert any("without evidence, without personal values" in line for line in lines)
        added = {**Files.of(out).rest, "disclosures.jsonl": made["case"].rest["disclosures.jsonl"]}
        assert verdict(replace(Files.of(out), rest=added).write(out)) == "altered"

    async def test_of_an_export_before_that_was_on_record_the_manifest_says_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """Such bundles are out there; they still verify."""
        begin = exports.begin

        async def begin_as_before(*given: Any, facts: Any, **options: Any) -> exports.Begun:
            async def fewer(tx: Tx) -> dict[str, object]:
                return {name: fact for name, fact in (await facts(tx)).items() if name == "report"}

            return await begin(*given, facts=fewer, **options)

        monkeypatch.setattr(exports, "begin", begin_as_before)
        store = await filled(tmp_path / "home", 3, seed=1)
        with_all = await write(store, tmp_path / "one.zip", 1)
        less = await write(store, tmp_path / "two.zip", 1, blobs=None, personal=False)
        await store.close()
        assert [verdict(one) for one in (with_all, less)] == ["ok", "ok"]
        assert verdict(Files.of(with_all).without("evidence/").write(with_all)) == "missing"


class TestASavedCheckpoint:
    def test_that_is_younger_than_the_bundle_says_that_the_bundle_is_older(self, made: dict[str, Files], path: Path):
        for scope in ("old", "old case"):
            word, lines = said(made[scope].write(path), saved=made["all"].checkpoint)
            assert (word, "have a new one made" in lines[-1]) == ("older", True)
        assert verdict(made["all"].write(path), saved=made["old"].checkpoint) == "ok"
        assert verdict(made["case"].write(path), saved=made["old"].checkpoint) == "ok"

    def test_of_more_events_that_is_older_than_the_bundle_is_a_rollback(self, made: dict[str, Files], path: Path):
        """An old backup was put in place, and the log went on from there: fewer events, signed later."""
        saved = SIGNER.sign_at(_text(made["all"]), int((EARLIER - timedelta(hours=1)).timestamp()))
        for scope in ("old", "old case"):
            assert verdict(made[scope].write(path), saved=saved) == "rolled back"

    @pytest.mark.parametrize("saved", ["garbage", "", "a\nb\nc\n\n\N{EM DASH} x AAAA\n", "\x00" * 100])
    def test_that_is_none_says_nothing_against_the_bundle(self, made: dict[str, Files], path: Path, saved: str):
        word, lines = said(made["all"].write(path), saved=saved)
        assert (word, "the checkpoint that you saved" in lines[-1]) == ("unreadable", True)

    def test_of_another_log_says_nothing_against_the_bundle(self, made: dict[str, Files], path: Path):
        other = Signer("other/audit", SIGNER.private)
        note = other.sign_at(Checkpoint(other.name, 3, bytes(32)).text(), 1)
        assert verdict(made["all"].write(path), saved=note) == "unreadable"


class TestAHostileTime:
    TIMES = (2**64 - 1, 2**63, 253_402_300_800, 2**55)

    @pytest.mark.parametrize("seconds", TIMES)
    def test_that_the_log_signed_is_a_verdict(self, made: dict[str, Files], path: Path, seconds: int):
        files = replace(made["all"], checkpoint=SIGNER.sign_at(_text(made["all"]), seconds))
        assert verdict(files.write(path)) == "altered"

    @pytest.mark.parametrize("seconds", TIMES)
    def test_that_a_witness_signed_is_a_verdict(self, made: dict[str, Files], path: Path, seconds: int):
        witness = Signer("w", SIGNER.private)
        note = made["all"].checkpoint or ""
        content = witness.verifier(COSIGNATURE).key_id + seconds.to_bytes(8, "big")
        content += witness.private.sign(cosigned(_text(made["all"]), seconds))
        line = f"\N{EM DASH} w {b64encode(content).decode()}\n"
        files = replace(made["all"], checkpoint=note + line).write(path)
        key = str(witness.verifier(COSIGNATURE))
        assert said(files, witnesses=[key])[0] == "unwitnessed"


class TestWhatCannotBeRead:
    @pytest.mark.parametrize("content", [None, b"no certificate", b"-----BEGIN CERTIFICATE-----\nAA\n-----END"])
    def test_certificates_say_nothing_against_the_bundle(
        self, made: dict[str, Files], path: Path, tmp_path: Path, content: bytes | None
    ):
        if content is not None:
            (tmp_path / "ca.pem").write_bytes(content)
        word, lines = said(made["all"].write(path), authority=tmp_path / "ca.pem")
        assert (word, "ca.pem" in lines[-1]) == ("unreadable", True)

    def test_openssl_that_hangs_says_nothing_against_the_bundle(
        self, made: dict[str, Files], path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        (tmp_path / "ca.pem").write_bytes(b"-----BEGIN CERTIFICATE-----")

        def hang(command: list[str], **options: float) -> None:
            raise verifier.subprocess.TimeoutExpired(command, options["timeout"])

        monkeypatch.setattr(verifier.subprocess, "run", hang)
        word, lines = said(made["all"].write(path), authority=tmp_path / "ca.pem")
        assert (word, "openssl" in lines[-1]) == ("unreadable", True)

    @pytest.mark.parametrize("name", ["checkpoint.txt", "manifest.json", "keys.txt", "timestamp.txt", "timestamp.tsr"])
    def test_a_member_that_is_huge_is_not_read_whole(self, made: dict[str, Files], path: Path, name: str):
        content = io.BytesIO()
        with ZipFile(content, "w", ZIP_DEFLATED) as archive, ZipFile(made["all"].write(path)) as old:
            for one in old.namelist():
                if one != name:
                    archive.writestr(one, old.read(one))
            if name.startswith("timestamp"):  # both are read where one is there
                archive.writestr("timestamp.txt" if name == "timestamp.tsr" else "timestamp.tsr", "x")
            with archive.open(name, "w") as out:
                for _ in range(256):
                    out.write(bytes(2**20))
        path.write_bytes(content.getvalue())
        before = _most_memory()
        assert verdict(path) in {"altered", "unreadable"}
        assert _most_memory() - before < 64 * 1024


def _most_memory() -> int:
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-age", "3x"], "write it like 30s, 10m, 6h or 1d"),
        (["--max-age", "-1d"], "argument"),
        (["--processes", "0"], "1 or more"),
        (["--processes", "many"], "1 or more"),
    ],
)
def test_the_command_line_refuses_what_makes_no_sense(capsys: pytest.CaptureFixture[str], words: list[str], said: str):
    with pytest.raises(SystemExit) as ended:
        verifier.main(["some.zip", "--key", "some.vkey", *words])
    assert ended.value.code == verifier.UNREADABLE
    assert said in capsys.readouterr().err


def _text(files: Files) -> str:
    """The text of a bundle's checkpoint, without signatures."""
    return (files.checkpoint or "").rpartition("\n\n")[0] + "\n"
