"""Personal values can be erased from tables and record; chain, tree, fold and old bundles stay whole."""

import asyncio
import json
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from case_store import alerts, cases, deadlines, evidence, find, links, notes, outbox, privacy, questions, tasks, views
from case_store.actor import Actor
from case_store.alert_formats import ParsedAlert
from case_store.audit import bundle, commitments, fold, private, sequencer, verifier
from case_store.audit.checkpoints import Signer
from case_store.audit.merkle import leaf_hash
from case_store.blobs import Blobs
from case_store.links import LinkKeys
from case_store.models import (
    Alert,
    AnswerLink,
    Approval,
    AuditEvent,
    AuditPrivate,
    Note,
    NoteRevision,
    OutboxEntry,
    Person,
    Question,
)
from case_store.store import CaseStore, Tx
from sop.loader import loads
from tests.store import forging, world
from tests.store.busy import Busy
from tests.store.conftest import Sql
from tests.store.world import ENGINE, LATER, NOW, SYSTEM, World

SIGNER = Signer("test/audit", Ed25519PrivateKey.generate())
KEY = str(SIGNER.verifier())
NAMES = ("ada", "Ada", "ada@example.org")


async def worked(store: CaseStore) -> World:
    """A case in which Ada signed, wrote and was told; then everything ended."""
    drill = await world.build(store)
    signed = {"signed_by": drill.ada, "take_over": True, "via": "cli", "by": Actor.person(drill.ada), "at": NOW}
    async with store.transaction() as tx:
        task = await world.task(tx, drill, "report")
        await tasks.ask(tx, task, parameters=None, due_at=None, by=ENGINE, at=NOW)
    async with store.transaction() as tx:
        await tasks.complete(tx, await world.task(tx, drill, "report"), form_values={}, note="Anna was ill.", **signed)
        await cases.cancel(tx, await find.case(tx, drill.case.id), "Anna called.", by=SYSTEM, at=NOW)
    return drill


async def erase(store: CaseStore, person: Person, at=LATER) -> privacy.ErasedPerson:
    async with store.transaction() as tx:
        found = await find.person(tx, person.id)
        return await privacy.erase_person(tx, found, basis="Art. 17", ticket="T-1", by=SYSTEM, at=at)


async def bodies(store: CaseStore) -> Sequence[str]:
    async with store.reading() as tx:
        return (await tx.session.scalars(select(AuditEvent.body).order_by(AuditEvent.id))).all()


async def differences(store: CaseStore) -> list[str]:
    async with store.reading() as tx:
        return [str(one) async for one in fold.differences(tx)]


async def exported(store: CaseStore, out: Path, case=None, *, personal: bool = True, blobs: bool = True) -> Path:
    wanted = bundle.Wanted(case, Blobs(store.blobs) if blobs else None, personal=personal)
    await bundle.write(store, out, wanted, by=SYSTEM, at=NOW, seal=lambda: sequencer.seal(store, SIGNER, NOW))
    return out


def verdict(path: Path) -> tuple[int, str]:
    lines: list[str] = []
    code = verifier.verify(path, KEY, now=LATER, say=lines.append)
    return code, "\n".join(lines)


async def told(tx: Tx, person: Person) -> int:
    about = select(func.count()).where(AuditPrivate.about_type == "person", AuditPrivate.about_id == person.id)
    return await tx.session.scalar(about) or 0


class TestCommitments:
    async def test_no_event_holds_a_personal_value(self, store: CaseStore):
        await worked(store)
        text = "\n".join(await bodies(store))
        assert '{"_sd":"' in text
        for value in ('"ada"', '"Ada"', "ada@example.org", "+4930901820", "Anna", "Suspicious mail"):
            assert value not in text

    async def test_a_disclosure_fits_its_event_as_in_sd_jwt(self, store: CaseStore):
        drill = await world.build(store)
        async with store.reading() as tx:
            wanted = select(AuditPrivate).where(
                AuditPrivate.about_id == drill.ada.id, AuditPrivate.pointer == "/changes/email/1"
            )
            row = (await tx.session.scalars(wanted)).one()
            event = select(AuditEvent.body).where(AuditEvent.event_id == row.event_id)
            body = json.loads((await tx.session.scalars(event)).one())
        padded = row.disclosure + "=" * (-len(row.disclosure) % 4)
        salt, pointer, value = json.loads(urlsafe_b64decode(padded))
        assert (len(urlsafe_b64decode(salt + "==")), pointer, value) == (16, "/changes/email/1", "ada@example.org")
        digest = body["changes"]["email"][1]["_sd"]
        assert urlsafe_b64decode(digest + "=") == sha256(row.disclosure.encode()).digest()

    async def test_digests_cannot_be_guessed_and_do_not_tell_equal_values(self, store: CaseStore):
        drill = await world.build(store)
        async with store.transaction() as tx:
            world.new_person(tx, "ada2", name="Ada")
        await erase(store, drill.eve)
        digests = [part.split('"')[0] for text in await bodies(store) for part in text.split('{"_sd":"')[1:]]
        assert len(digests) == len(set(digests))
        for guess in (*NAMES, "eve", "Eve"):
            shapes = (guess, json.dumps(guess), json.dumps(["", "/changes/name/1", guess]), json.dumps([guess]))
            for shape in shapes:
                encoded = commitments._encoded(shape.encode())
                assert commitments.digest(encoded) not in digests
                assert commitments.digest(shape) not in digests

    async def test_an_event_without_personal_values_costs_no_statement(self, store: CaseStore):
        async with store.transaction() as tx:
            tx.record("test.started", None, by=SYSTEM, at=NOW, facts={"cases": 3})
            await tx.flush()
            assert tx._ledger.disclosures == []
        async with store.reading() as tx:
            assert await tx.session.scalar(select(func.count()).select_from(AuditPrivate)) == 0

    async def test_a_map_of_somebody_else_cannot_pass_for_a_commitment(self, store: CaseStore):
        async with store.transaction() as tx:
            tx.record("test.noted", None, by=SYSTEM, at=NOW, facts={"x": {"_sd": "forged"}})
        (text,) = await bodies(store)
        assert '{"_sd":' not in text
        assert json.loads(text)["facts"]["x"] == {"\\_sd": "forged"}

    async def test_readers_show_the_value_until_it_is_erased(self, store: CaseStore):
        drill = await worked(store)
        async with store.reading() as tx:
            before = [f"{row.what} {row.detail}" for row in await views.timeline(tx, drill.case)]
        await erase(store, drill.ada)
        async with store.reading() as tx:
            after = [f"{row.what} {row.detail}" for row in await views.timeline(tx, drill.case)]
        assert any("signed by ada via cli" in line for line in before)
        assert any("signed by [erased] via cli" in line for line in after)
        assert not any("ada" in line for line in after)


class TestErasingAPerson:
    async def test_takes_everything_away_and_leaves_the_record_whole(self, store: CaseStore, tmp_path: Path):
        drill = await worked(store)
        before, old = await bodies(store), await exported(store, tmp_path / "old.zip")
        done = await erase(store, drill.ada)
        async with store.reading() as tx:
            person = (await tx.session.scalars(select(Person).where(Person.id == drill.ada.id))).one()
            task = await world.task(tx, drill, "report")
            messages = (await tx.session.scalars(select(OutboxEntry))).all()
            assert await told(tx, drill.ada) == 0
        alias = commitments.pseudonym(drill.ada.id)
        assert (person.handle, person.name, person.email, person.active) == (alias, alias, None, False)
        assert (task.signed_by, done.handle, done.already) == (alias, alias, False)
        assert [(one.state, one.context["recipient"]) for one in messages if one.recipient_id == person.id] == [
            ("dead", {})
        ]
        assert [*await bodies(store)][: len(before)] == [*before]
        erased = json.loads((await bodies(store))[-1])
        assert (erased["type"], erased["facts"]["basis"], erased["facts"]["ticket"]) == (
            "privacy.erased",
            "Art. 17",
            "T-1",
        )
        assert erased["facts"]["disclosures"] == done.traces.disclosures == 5
        text = "\n".join(await bodies(store))
        assert not any(f'"{name}"' in text for name in NAMES)
        assert await differences(store) == []
        for path in (old, await exported(store, tmp_path / "new.zip")):
            code, said = verdict(path)
            assert code == 0, said

    async def test_a_second_time_says_so_and_changes_nothing(self, store: CaseStore):
        drill = await worked(store)
        await erase(store, drill.ada)
        count = len(await bodies(store))
        assert (await erase(store, drill.ada)).already
        assert len(await bodies(store)) == count

    async def test_two_at_once_erase_once(self, store: CaseStore):
        drill = await worked(store)
        done = await asyncio.gather(erase(store, drill.ada), erase(store, drill.ada))
        assert sorted(one.already for one in done) == [False, True]
        assert await differences(store) == []

    async def test_what_breaks_off_in_the_middle_erases_nothing(self, store: CaseStore):
        drill = await worked(store)
        before = await bodies(store)

        async def broken() -> None:
            async with store.transaction() as tx:
                person = await find.person(tx, "ada")
                await privacy.erase_person(tx, person, basis="x", by=SYSTEM, at=LATER)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await broken()
        async with store.reading() as tx:
            assert (await find.person(tx, "ada")).email == "ada@example.org"
            assert await told(tx, drill.ada) == 5
        assert await bodies(store) == before

    async def test_is_refused_while_they_have_work(self, store: CaseStore):
        drill = await world.build(store)
        async with store.transaction() as tx:
            await tasks.reassign(tx, await world.task(tx, drill, "report"), drill.eve, by=ENGINE, at=NOW)
        with pytest.raises(privacy.StillAtWork, match="1/report"):
            await erase(store, drill.eve)

    async def test_says_how_many_older_events_stay_in_clear(self, store: CaseStore, sql: Sql):
        drill = await worked(store)
        stream, place = await forging.end_of(sql)
        event = replace(forging.about(stream), facts={"name": "Ada"})
        body = event.body(place).replace('"schema_v":3,', '"schema_v":2,')
        older = {"schema_v": 2, "body": body, "leaf": leaf_hash(body.encode())}
        await sql(forging.insertion(event, place, sqlite=store.url.drivername.startswith("sqlite"), **older))
        assert (await erase(store, drill.ada)).traces.clear_events == 1


class TestLegalHold:
    @pytest.mark.parametrize("who", ["ada", "bob"])
    async def test_blocks_everybody_who_appears_in_the_case(self, store: CaseStore, who: str):
        drill = await worked(store)
        async with store.transaction() as tx:
            case = await find.case(tx, drill.case.id)
            await notes.add(tx, case, "Seen.", author=drill.bob, by=Actor.person(drill.bob), at=NOW)
            await privacy.hold_case(tx, case, "Court 7", by=SYSTEM, at=NOW)
        with pytest.raises(privacy.Held, match="CASE-1"):
            await erase(store, drill[who])
        assert not (await erase(store, drill.eve)).already
        async with store.transaction() as tx:
            case = await find.case(tx, drill.case.id)
            with pytest.raises(privacy.Held, match="Court 7"):
                await privacy.erase_case(tx, case, basis="old", by=SYSTEM, at=LATER)
            assert await privacy.release_case(tx, case, by=SYSTEM, at=LATER)
        assert not (await erase(store, drill[who])).already
        assert await differences(store) == []

    async def test_of_a_person_blocks_and_ends(self, store: CaseStore):
        drill = await worked(store)
        async with store.transaction() as tx:
            await privacy.hold_person(tx, await find.person(tx, "ada"), "Court 7", by=SYSTEM, at=NOW)
        with pytest.raises(privacy.Held, match="Court 7"):
            await erase(store, drill.ada)
        async with store.transaction() as tx:
            assert await privacy.release_person(tx, await find.person(tx, "ada"), by=SYSTEM, at=NOW)
            assert not await privacy.release_person(tx, await find.person(tx, "ada"), by=SYSTEM, at=NOW)
        assert not (await erase(store, drill.ada)).already


class TestErasingContent:
    async def test_of_a_closed_case_takes_texts_and_bytes(self, store: CaseStore, tmp_path: Path):
        drill, blobs = await worked(store), Blobs(store.blobs)
        async with store.transaction() as tx:
            case = await find.case(tx, drill.case.id)
            await evidence.attach(tx, case, blobs, name="anna.txt", content=b"Anna", by=SYSTEM, at=NOW)
        old = await exported(store, tmp_path / "old.zip", drill.case)
        async with store.reading() as tx:
            assert [one.number for one in await privacy.due(tx, NOW + timedelta(days=1))] == [1]
            assert await privacy.due(tx, NOW) == []
        async with store.transaction() as tx:
            done = await privacy.erase_case(tx, await find.case(tx, drill.case.id), basis="old", by=SYSTEM, at=LATER)
        assert done.files == (sha256(b"Anna").hexdigest(),)
        assert await blobs.forget(done.files[0])
        assert not await blobs.forget(done.files[0])
        async with store.reading() as tx:
            assert await privacy.due(tx, NOW + timedelta(days=1)) == []
            (note,) = (await tx.session.scalars(select(Note))).all()
            wordings = (await tx.session.scalars(select(NoteRevision.body))).all()
            assert [note.body] == list(wordings) == [commitments.pseudonym(note.id)]
            assert (await find.case(tx, 1)).resolution is None
            assert (await world.task(tx, drill, "report")).signed_by == "ada"
            page = str(await views.case(tx, 1)) + str(await views.timeline(tx, drill.case))
        assert "Anna" not in page
        assert await differences(store) == []
        for path in (old, await exported(store, tmp_path / "new.zip", drill.case)):
            code, said = verdict(path)
            assert code == 0, said

    async def test_of_one_note_leaves_the_others(self, store: CaseStore):
        drill = await world.build(store)
        async with store.transaction() as tx:
            case = await find.case(tx, drill.case.id)
            first = await notes.add(tx, case, "Anna.", author=ENGINE, by=ENGINE, at=NOW)
            await notes.revise(tx, first, "Anna!", by=ENGINE, at=NOW)
            other = await notes.add(tx, case, "Berta.", author=ENGINE, by=ENGINE, at=NOW)
        async with store.transaction() as tx:
            await privacy.redact(tx, drill.case, first.id, basis="asked", by=SYSTEM, at=LATER)
        async with store.reading() as tx:
            wordings = set(await tx.session.scalars(select(NoteRevision.body)))
            changes = [body["changes"] for body in await private.read(tx, await bodies(store))]
        assert wordings == {commitments.pseudonym(first.id), "Berta."}
        assert other.body == "Berta."
        assert [one["body"][1] for one in changes if "body" in one] == [
            "[erased]",
            "[erased]",
            "Berta.",
            commitments.pseudonym(first.id),
        ]
        assert await differences(store) == []

    async def test_that_came_after_an_erasure_is_due_again(self, store: CaseStore):
        drill, later = await worked(store), NOW + timedelta(days=9)

        async def erase_it() -> int:
            async with store.transaction() as tx:
                return (await privacy.erase_case(tx, await find.case(tx, 1), basis="old", by=SYSTEM, at=LATER)).rows

        async def due() -> list[int]:
            async with store.reading() as tx:
                return [one.number for one in await privacy.due(tx, later)]

        await erase_it()
        assert (await due(), await erase_it()) == ([], 0)
        async with store.transaction() as tx:
            await notes.add(tx, await find.case(tx, 1), "Anna again.", author=ENGINE, by=ENGINE, at=LATER)
        assert (await due(), await erase_it(), await due()) == ([1], 1, [])
        async with store.transaction() as tx:
            await cases.reopen(tx, await find.case(tx, 1), "Anna was right.", by=ENGINE, at=LATER)
            await cases.cancel(tx, await find.case(tx, 1), "Anna.", by=ENGINE, at=LATER)
        assert (await due(), await erase_it() > 0, await due()) == ([1], True, [])
        assert await differences(store) == []
        assert drill.case.number == 1

    async def test_of_an_alert_without_a_case(self, store: CaseStore):
        blobs = Blobs(store.blobs)
        alert = ParsedAlert("wazuh", "1", "Anna logged in", "low", "3", None, None, {"user": "anna"})

        async def received(content: bytes) -> Alert:
            async with store.transaction() as tx:
                return (await alerts.receive(tx, alert, content, blobs, by=SYSTEM, at=NOW))[0]

        async def erased() -> tuple[str, ...]:
            async with store.transaction() as tx:
                (one,) = await privacy.due_alerts(tx, LATER)
                return (await privacy.erase_alert(tx, one, basis="old", by=SYSTEM, at=LATER)).files

        first = await received(b"anna")
        async with store.reading() as tx:
            assert await privacy.due_alerts(tx, NOW) == []
        assert await erased() == (sha256(b"anna").hexdigest(),)
        async with store.reading() as tx:
            assert await privacy.due_alerts(tx, LATER) == []
            found = await find.alert(tx, first.id)
            assert (found.title, found.fields) == (commitments.pseudonym(first.id), {})
            assert await tx.session.scalar(select(func.count()).select_from(AuditPrivate)) == 0
        await received(b"anna")  # the same again: its bytes are there again, and due again
        assert await erased() == (sha256(b"anna").hexdigest(),)
        assert await differences(store) == []

    async def test_of_a_task_takes_what_was_approved_and_asked(self, store: CaseStore):
        drill = await world.build(store)
        keys = LinkKeys(("an-old-key-of-32-characters-or-more",))
        async with store.transaction() as tx:
            task = await world.task(tx, drill, "block")
            await tasks.ask(tx, task, parameters={"url": "anna"}, due_at=None, by=ENGINE, at=NOW)
            lasts = timedelta(hours=1)
            await links.mint(tx, task, drill.mia, "email", keys=keys, lasts=lasts, by=ENGINE, at=NOW)
            await questions.asked(tx, task, 1, "run", reason="anna", at=NOW, parameters_sha256="a" * 64)
            signed = {"signed_by": drill.mia, "via": "cli", "by": ENGINE, "at": NOW}
            await tasks.approve(tx, task, note=None, **signed)
            await links.revoke(tx, task, "anna", by=ENGINE, at=NOW)
        async with store.transaction() as tx:
            task = await world.task(tx, drill, "block")
            digest = tasks.parameters_sha256({"url": "anna"})
            assert digest not in "\n".join(await bodies(store))
            await privacy.redact(tx, drill.case, task.id, basis="asked", by=SYSTEM, at=LATER)
        async with store.reading() as tx:
            for kind in (Approval, AnswerLink):
                (row,) = (await tx.session.scalars(select(kind))).all()
                assert row.parameters_sha256 == commitments.pseudonym(row.id)
            (question,) = (await tx.session.scalars(select(Question))).all()
            assert (question.reason, question.parameters_sha256) == (None, None)
            about = set(await tx.session.scalars(select(AuditPrivate.about_type)))
        assert about == {"case", "person"}
        assert await differences(store) == []

    async def test_of_a_case_takes_how_a_deadline_was_met(self, store: CaseStore):
        sop = loads(world.SOP_TEXT.replace("sop: drill\n", "sop: drill\ndeadlines: [{name: Law, after: 72h}]\n"))
        async with store.transaction() as tx:
            case = await cases.open_case(tx, sop, "Watched", by=ENGINE, at=NOW)
            made = await world.people(tx)
            await deadlines.meet(tx, case, "law", "Anna told them", person=made["ada"], by=ENGINE, at=NOW)
            await cases.cancel(tx, case, "over", by=ENGINE, at=NOW)
        async with store.transaction() as tx:
            await privacy.erase_case(tx, await find.case(tx, 1), basis="old", by=SYSTEM, at=LATER)
        async with store.reading() as tx:
            assert (await deadlines.of_case(tx, case, "Law")).how is None
        assert await differences(store) == []


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_was_done_erasures_reach_all_of_it(store: CaseStore, seed: int):
    """No value stays disclosed that neither the erasure of its case or alert nor that of its person takes away."""
    drill = await world.build(store)
    life = Busy(store, drill, seed)
    life.verbs = tuple(verb for verb in Busy.verbs if verb not in {Busy.erase, Busy.end})
    for number in range(80):
        await life.step(number)
    async with store.transaction() as tx:
        for number in await find.case_numbers(tx):
            case = await find.case(tx, number)
            await cases.cancel(tx, case, "Over.", by=ENGINE, at=LATER)
            await privacy.erase_case(tx, case, basis="old", by=ENGINE, at=LATER)
    async with store.transaction() as tx:
        for alert in await privacy.due_alerts(tx, LATER + timedelta(days=1)):
            await privacy.erase_alert(tx, alert, basis="old", by=ENGINE, at=LATER)
    async with store.reading() as tx:
        assert set(await tx.session.scalars(select(AuditPrivate.about_type))) <= {"person"}
    for person in (drill.ada, drill.bob, drill.mia, drill.max, drill.eve):
        await erase(store, person)
    async with store.reading() as tx:
        assert await tx.session.scalar(select(func.count()).select_from(AuditPrivate)) == 0
    assert await differences(store) == []


class TestTheDatabase:
    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM audit_private",
            "UPDATE audit_private SET about_id = 'x'",
            "DELETE FROM note_revisions",
            "UPDATE note_revisions SET body = 'erased-000000000000'",
        ],
    )
    async def test_refuses_to_forget_without_an_erasure(self, store: CaseStore, sql: Sql, statement: str):
        await worked(store)
        with pytest.raises(Exception, match="casewright: "):
            await sql(statement)

    async def test_refuses_to_forget_what_came_after_the_erasure(self, store: CaseStore, sql: Sql):
        drill = await worked(store)
        await erase(store, drill.ada)
        async with store.transaction() as tx:
            person = await find.person(tx, drill.ada.id)
            person.name = "Ada again"
            tx.record("person.changed", person, by=SYSTEM, at=LATER)
        with pytest.raises(Exception, match="casewright: "):
            await sql(f"DELETE FROM audit_private WHERE about_id = '{drill.ada.id}'")

    async def test_a_disclosure_that_was_deleted_around_us_is_a_difference(self, store: CaseStore, sql: Sql):
        drill = await world.build(store)
        if store.url.drivername.startswith("sqlite"):
            await sql("DROP TRIGGER audit_private_delete")
        else:
            await sql("ALTER TABLE audit_private DISABLE TRIGGER USER")
        await sql(f"DELETE FROM audit_private WHERE about_id = '{drill.bob.id}'")
        assert any(f"person {drill.bob.id}: name" in one for one in await differences(store))


class TestTheBundle:
    async def test_says_how_many_are_shown_and_withheld(self, sqlite_store: CaseStore, tmp_path: Path):
        store = sqlite_store
        drill = await worked(store)
        for case in (None, drill.case):
            shown = verdict(await exported(store, tmp_path / "shown.zip", case))
            bare = verdict(await exported(store, tmp_path / "bare.zip", case, personal=False))
            assert (shown[0], bare[0]) == (0, 0)
            assert " are shown, 0 are withheld or erased" in shown[1]
            assert "disclosed" not in bare[1]
        with ZipFile(tmp_path / "bare.zip") as found:
            assert "disclosures.jsonl" not in found.namelist()
            assert b"ada@example.org" not in found.read("events.jsonl")
        await erase(store, drill.ada)
        code, said = verdict(await exported(store, tmp_path / "after.zip"))
        assert code == 0
        assert ", 0 are withheld" not in said

    @pytest.mark.parametrize("how", ["value", "event", "twice", "order", "garbage"])
    async def test_a_disclosure_that_fits_no_commitment_is_altered(
        self, sqlite_store: CaseStore, tmp_path: Path, how: str
    ):
        await worked(sqlite_store)
        path = await exported(sqlite_store, tmp_path / "one.zip")
        with ZipFile(path) as found:
            files = {name: found.read(name) for name in found.namelist()}
        lines = files["disclosures.jsonl"].splitlines()
        first, last = json.loads(lines[0]), json.loads(lines[-1])
        forged = commitments.commit_to("/changes/name/1", "Mallory")[1]
        lines = {
            "value": [json.dumps({**first, "disclosure": forged}).encode(), *lines[1:]],
            "event": [json.dumps({**first, "event_id": last["event_id"]}).encode(), *lines[1:]],
            "twice": [lines[0], *lines],
            "order": lines[::-1],
            "garbage": [*lines, b"{"],
        }[how]
        with ZipFile(path, "w") as made:
            for name, content in files.items():
                made.writestr(name, b"\n".join([*lines, b""]) if name == "disclosures.jsonl" else content)
        code, said = verdict(path)
        assert code == verifier.CODES["altered"], said


async def test_a_name_in_what_a_channel_said_is_erased_with_its_recipient(store: CaseStore):
    drill = await worked(store)
    async with store.transaction() as tx:
        (entry, *_) = await outbox.claim(tx, NOW, timedelta(minutes=1), 10, "token")
        error = "550 no such user ada@example.org"
        await outbox.settle(tx, entry, outbox.Result("permanent", error=error), by=SYSTEM, at=NOW)
    assert "ada@example.org" not in "\n".join(await bodies(store))
    await erase(store, drill.ada)
    async with store.reading() as tx:
        assert {one.last_error for one in await tx.session.scalars(select(OutboxEntry))} == {None}
        assert await told(tx, drill.ada) == 0
