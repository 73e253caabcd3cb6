"""How each verb of the case store is called: what has to be there before, and the call itself.

`test_every_verb.py` holds this list against the code: a verb that is missing here is found by its `by`.
"""

import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import select

from case_store import (
    absence,
    access,
    alerts,
    audit,
    breaches,
    cases,
    channel_tests,
    codes,
    configuration,
    contacts,
    deadlines,
    endings,
    escalation,
    evidence,
    find,
    links,
    notes,
    observables,
    outbox,
    overdue,
    pausing,
    people,
    privacy,
    replies,
    sop_changes,
    sops,
    stages,
    tasks,
)
from case_store.actor import Actor
from case_store.alert_formats import ParsedAlert
from case_store.audit import bundle, exports, keys, rotation, sequencer
from case_store.audit.checkpoints import Signer
from case_store.blobs import Blobs
from case_store.models import AuditEvent, AuditSink, OutboxEntry
from case_store.models.answers import MAILBOX_FAILURES
from case_store.outbox import breaker, closing, falling_over, quota
from case_store.replies import mailboxes
from case_store.replies.keeping import keep
from case_store.replies.reports import take_report
from case_store.replies.taking import acknowledge as acknowledge_by_reply
from case_store.replies.taking import may_see
from case_store.settings import Settings
from case_store.sinks import address
from case_store.sinks import state as sinks
from case_store.store import CaseStore, Tx
from case_store.tasks import approvals, ownership
from sop.loader import loads
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, World

SIGNER = Signer("test/audit", Ed25519PrivateKey.generate())
RAW = b'{"title": "Odd"}'
ALERT = ParsedAlert("wazuh", "1", "Odd", "low", "3", None, None, {})
STATE = audit.RunState(
    state_id="s-1", run_kind="flow-run", run_id="r", run_name="CASE-1", state_type="RUNNING", state_name="Running"
)
WATCHED = """\
sop: drill
deadlines: [{name: Law, after: 72h, met_by: report}]
escalation: [{after: 0, to: owner}]
"""
OTHER_SOP = loads(f"{world.SOP_TEXT}# in other words\n", "drill.yaml")
ANSWERS = {"verdict": "phishing", "hosts": "3"}


@dataclass
class Scene:
    """What is there when a verb is called; `made` is what the preparation made."""

    store: CaseStore
    drill: World
    made: Any = None
    blobs: Blobs = field(init=False)

    def __post_init__(self) -> None:
        self.blobs = Blobs(self.store.blobs)

    async def task(self, tx: Tx, key: str) -> Any:
        return await world.task(tx, self.drill, key)


Prepare = Callable[[Tx, Scene], Awaitable[Any]]
Call = Callable[[Tx, Scene, Actor], Awaitable[Any]]
CallOnStore = Callable[[Scene, Actor], Awaitable[Any]]


@dataclass(frozen=True)
class Verb:
    """One verb.

    Attributes:
        call: The call.
        prepare: What makes what has to be there before.
        writes_only_its_event: Without its event it does nothing.
        about_no_row: Its event is about a message, which the session guards and the database does not.
    """

    call: Call
    prepare: Prepare | None = None
    writes_only_its_event: bool = False
    about_no_row: bool = False


def on_store(call: CallOnStore) -> Call:
    """A verb that opens its transactions itself."""
    return lambda _tx, scene, by: call(scene, by)


async def asked(tx: Tx, scene: Scene, *keys: str, parameters: dict[str, object] | None = None) -> None:
    for key in keys:
        task = await scene.task(tx, key)
        await tasks.ask(tx, task, parameters=parameters, due_at=NOW + timedelta(minutes=1), by=ENGINE, at=NOW)


async def running(tx: Tx, scene: Scene) -> Any:
    task = await scene.task(tx, "extract")
    return await tasks.start_action(tx, task, run_id="r", code_version="1", inputs={}, by=ENGINE, at=NOW)


async def failed(tx: Tx, scene: Scene) -> None:
    run = await running(tx, scene)
    await tasks.finish_action(tx, run, outcome="failed", output={}, error="no route", by=ENGINE, at=NOW)


async def done(tx: Tx, scene: Scene) -> None:
    await cases.close(tx, scene.drill.case, "all well", by=ENGINE, at=NOW)


async def reported(tx: Tx, scene: Scene) -> None:
    """The mandatory task is done, so that the case may be closed."""
    await asked(tx, scene, "report")
    signer = scene.drill.ada
    await tasks.complete(
        tx, await scene.task(tx, "report"), form_values={}, note=None, signed_by=signer, via="cli", by=ENGINE, at=NOW
    )


async def all_closed(tx: Tx, scene: Scene) -> None:
    """Every stage is closed, and the engine has not noticed yet."""
    for key in ("analyse", "contain"):
        stage = await find.stage_of(tx, scene.drill.case, key)
        await stages.decide_condition(tx, stage, False, {}, by=ENGINE, at=NOW)


async def claimed(tx: Tx, scene: Scene) -> Any:
    await asked(tx, scene, "report")
    await tx.flush()
    return (await outbox.claim(tx, NOW, timedelta(minutes=1), 1, "token"))[0]


AT_FAULT = outbox.Result("permanent", error="535 wrong password", channel_fault=True)
FEW = outbox.Policy({"email": 1})


async def waiting(tx: Tx, scene: Scene) -> Any:
    """The one message that waits."""
    await asked(tx, scene, "report")
    return (await tx.session.scalars(select(OutboxEntry))).one()


async def gone(tx: Tx, scene: Scene) -> Any:
    message = await claimed(tx, scene)
    await outbox.settle(tx, message, outbox.Result("ok", "<1>"), by=ENGINE, at=NOW)
    return message


async def given_up(tx: Tx, scene: Scene) -> Any:
    """A message to Bob that died; he has a phone."""
    await tasks.reassign(tx, await scene.task(tx, "report"), scene.drill.bob, by=ENGINE, at=NOW)
    message = await claimed(tx, scene)
    message.state, message.token, message.lease_until = "dead", None, None
    tx.record("notification.failed", None, by=ENGINE, at=NOW, facts={"outbox_id": message.id})
    await tx.flush()
    return message


async def channel_down(tx: Tx, scene: Scene) -> None:
    await breaker.failed(tx, await claimed(tx, scene), AT_FAULT, outbox.Policy(), by=ENGINE, at=NOW)


async def without_address(tx: Tx, scene: Scene) -> None:
    """A message to somebody who has no address."""
    await tasks.reassign(tx, await scene.task(tx, "report"), scene.drill.eve, by=ENGINE, at=NOW)
    await asked(tx, scene, "report")


async def handed_over(tx: Tx, scene: Scene) -> None:
    await asked(tx, scene, "report")
    await tasks.reassign(tx, await scene.task(tx, "report"), scene.drill.eve, by=ENGINE, at=NOW)


async def unreachable(tx: Tx, scene: Scene) -> None:
    """Bob wants no texts, and his e-mail address is bad."""
    await contacts.opt_out(tx, scene.drill.bob, "sms", by=ENGINE, at=NOW, why="STOP")
    await contacts.mark_bad(tx, scene.drill.bob, "email", by=ENGINE, at=NOW, why="550")


async def reopenable(tx: Tx, scene: Scene) -> None:
    await reported(tx, scene)
    await done(tx, scene)


async def empty_stage(tx: Tx, scene: Scene) -> None:
    """A stage that is active and has only closed tasks."""
    stage = await find.stage_of(tx, scene.drill.case, "contain")
    await stages.activate(tx, stage, due_at=None, by=ENGINE, at=NOW)
    for key in ("block", "sign-off", "tidy"):
        await tasks.decide_condition(tx, await scene.task(tx, key), False, {}, by=ENGINE, at=NOW)


async def restricted(tx: Tx, scene: Scene) -> None:
    await access.restrict(tx, scene.drill.case, [scene.drill.ada], "an insider", by=ENGINE, at=NOW)


async def waiting_alert(tx: Tx, scene: Scene) -> Any:
    return (await alerts.receive(tx, ALERT, RAW, scene.blobs, by=ENGINE, at=NOW))[0]


async def a_note(tx: Tx, scene: Scene) -> Any:
    return await notes.add(tx, scene.drill.case, "first", author=ENGINE, by=ENGINE, at=NOW)


def asks(*keys: str, **options: Any) -> Prepare:
    return lambda tx, scene: asked(tx, scene, *keys, **options)


def decides(verb: Callable[..., Awaitable[Any]], key: str, who: str, *words: str, **options: Any) -> Call:
    """A decision by a person."""

    async def call(tx: Tx, scene: Scene, by: Actor) -> Any:
        signed = {"signed_by": scene.drill[who], "via": "cli", "by": by, "at": LATER}
        return await verb(tx, await scene.task(tx, key), *words, **options, **signed)

    return call


def on_task(verb: Callable[..., Awaitable[Any]], key: str, *words: Any, **options: Any) -> Call:
    async def call(tx: Tx, scene: Scene, by: Actor) -> Any:
        return await verb(tx, await scene.task(tx, key), *words, **options, by=by, at=LATER)

    return call


def on_stage(verb: Callable[..., Awaitable[Any]], key: str, *words: Any, **options: Any) -> Call:
    async def call(tx: Tx, scene: Scene, by: Actor) -> Any:
        stage = await find.stage_of(tx, scene.drill.case, key)
        return await verb(tx, stage, *words, **options, by=by, at=LATER)

    return call


def on_case(verb: Callable[..., Awaitable[Any]], *words: Any, **options: Any) -> Call:
    return lambda tx, scene, by: verb(tx, scene.drill.case, *words, **options, by=by, at=LATER)


async def become_owner(tx: Tx, scene: Scene, by: Actor) -> None:
    case, task = await find.locked(tx, await scene.task(tx, "report"))
    await ownership.become_owner(tx, case, task, scene.drill.bob, take_over=True, by=by, at=LATER)


async def hand_over(tx: Tx, scene: Scene, by: Actor) -> None:
    await tasks.reassign(tx, await scene.task(tx, "report"), scene.drill.bob, by=by, at=LATER)


async def take_over(tx: Tx, scene: Scene, by: Actor) -> None:
    await tasks.take_over(tx, await scene.task(tx, "report"), by_person=scene.drill.bob, by=by, at=LATER)


def next_state(scene: Scene) -> list[tuple[str | None, audit.RunState, Any]]:
    return [(scene.drill.case.id, STATE, LATER)]


def write_bundle(scene: Scene, by: Actor) -> Awaitable[Any]:
    out = scene.store.blobs.parent / "bundle.zip"

    async def seal() -> None:
        if await sequencer.seal(scene.store, SIGNER, LATER) is None:
            raise TimeoutError  # there is nothing to wait for: the export is not on record

    return bundle.write(scene.store, out, bundle.Wanted(), by=by, at=LATER, seal=seal)


LISTED = "handle,name,roles\nada,Ada Other,tier1\nnew,New,\n"

SINK = address.parse("file:///dev/null?name=siem", "events")
OTHER_SINK = address.parse("file:///dev/zero?name=siem", "events")


async def begun_export(tx: Tx, _scene: Scene) -> exports.Begun:
    """An export that is on record."""
    tx.record("audit.exported", None, by=ENGINE, at=NOW, facts={"scope": "all"}, event_id="begun")
    await tx.flush()
    return exports.Begun(
        "begun", (await tx.session.scalars(select(AuditEvent.id).order_by(AuditEvent.id.desc()))).first()
    )


async def log_keys_at_hand(_tx: Tx, scene: Scene) -> Path:
    """The folder with the key that signs for the log."""
    folder = scene.store.blobs.parent / "keys"
    folder.mkdir()
    pem = SIGNER.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / keys.PRIVATE).write_bytes(b"Name: %s\n" % SIGNER.name.encode() + pem)
    return folder


async def delivered(tx: Tx, _scene: Scene) -> None:
    """A sink that has got three events."""
    await sinks.register(tx, [SINK], by=ENGINE, at=NOW)
    (await tx.session.get_one(AuditSink, SINK.name)).cursor = 3


async def bob_signed(tx: Tx, scene: Scene) -> None:
    """A task says that Bob decided; no message to him waits."""
    await asked(tx, scene, "report")
    signed = {"signed_by": scene.drill.bob, "take_over": True, "via": "cli", "by": ENGINE, "at": NOW}
    await tasks.complete(tx, await scene.task(tx, "report"), form_values={}, note=None, **signed)


async def held(tx: Tx, scene: Scene) -> None:
    """Holds keep the case and Bob."""
    await privacy.hold_case(tx, scene.drill.case, "court", by=ENGINE, at=NOW)
    await privacy.hold_person(tx, scene.drill.bob, "court", by=ENGINE, at=NOW)


async def ended_with_words(tx: Tx, scene: Scene) -> None:
    """A case that has ended, with a note, observables and evidence."""
    case = scene.drill.case
    await a_note(tx, scene)
    await observables.add(tx, case, [("ip", "192.0.2.1")], by=ENGINE, at=NOW)
    await evidence.attach(tx, case, scene.blobs, name="a", content=b"a", by=ENGINE, at=NOW)
    await cases.cancel(tx, case, "a mistake", by=ENGINE, at=NOW)


def on_bob(verb: Callable[..., Awaitable[Any]], *words: Any, **options: Any) -> Call:
    async def call(tx: Tx, scene: Scene, by: Actor) -> Any:
        return await verb(tx, await find.person(tx, scene.drill.bob.id), *words, **options, by=by, at=LATER)

    return call


async def bob_away(tx: Tx, scene: Scene) -> None:
    bob = await find.person(tx, scene.drill.bob.id)
    await absence.set_away(tx, bob, start=NOW, until=None, deputy=scene.drill.ada, by=ENGINE, at=NOW)


async def send_code(tx: Tx, scene: Scene, by: Actor) -> None:
    await codes.send(tx, await scene.task(tx, "report"), scene.drill.ada, away_from=None, by=by, at=NOW)


async def code_sent(tx: Tx, scene: Scene) -> None:
    await asked(tx, scene, "report")
    await send_code(tx, scene, ENGINE)


async def check_code(tx: Tx, scene: Scene, by: Actor) -> None:
    await codes.check(tx, await scene.task(tx, "report"), scene.drill.ada, "no code", away_from=None, by=by, at=NOW)


async def give_approval(tx: Tx, scene: Scene, by: Actor) -> None:
    case, task = await find.locked(tx, await scene.task(tx, "sign-off"))
    rule = await ownership.approval_of(tx, case, task)
    await approvals.give(tx, case, task, rule, scene.drill.mia, via="cli", by=by, at=LATER)


async def approval_given(tx: Tx, scene: Scene) -> None:
    await asked(tx, scene, "sign-off")
    await give_approval(tx, scene, ENGINE)


async def void_approvals(tx: Tx, scene: Scene, by: Actor) -> None:
    await approvals.void(tx, await scene.task(tx, "sign-off"), by=by, at=LATER)
    await tx.flush()


async def acknowledge(tx: Tx, scene: Scene, by: Actor) -> None:
    await tasks.acknowledge(tx, await scene.task(tx, "report"), scene.drill.ada, via="cli", by=by, at=LATER)


async def late(tx: Tx, scene: Scene) -> Any:
    """A stage whose time is over, in a case that is watched over by a law."""
    stage = await find.stage_of(tx, scene.drill.case, "analyse")
    return await stages.activate(tx, stage, due_at=NOW, by=ENGINE, at=NOW)


async def paused(tx: Tx, scene: Scene) -> None:
    await asked(tx, scene, "confirm", "report")
    await pausing.pause_task(tx, await scene.task(tx, "report"), "waits", by=ENGINE, at=NOW)
    await pausing.pause_case(tx, scene.drill.case, "waits", by=ENGINE, at=NOW)


async def watched(tx: Tx, scene: Scene) -> Any:
    """A case with a deadline."""
    sop = loads(world.SOP_TEXT.replace("sop: drill\n", WATCHED))
    case = await cases.open_case(tx, sop, "Watched", by=ENGINE, at=NOW)
    await tasks.ask(tx, await find.task_of(tx, case, "report"), parameters=None, due_at=None, by=ENGINE, at=NOW)
    return case


async def pass_by(tx: Tx, scene: Scene, by: Actor) -> None:
    row = await deadlines.of_case(tx, scene.made, "Law")
    await deadlines.pass_by(tx, row, by=by, at=NOW + timedelta(days=4))


async def after_task(tx: Tx, scene: Scene, by: Actor) -> None:
    case, task = await find.locked(tx, await find.task_of(tx, scene.made, "report"))
    await deadlines.after_task(tx, case, task, {}, person=scene.drill.ada, by=by, at=LATER)


async def not_needed(tx: Tx, scene: Scene, by: Actor) -> None:
    case, task = await find.locked(tx, await find.task_of(tx, scene.made, "report"))
    await deadlines.not_needed(tx, case, task, by=by, at=LATER)


async def climb(tx: Tx, scene: Scene, by: Actor) -> None:
    task = await find.task_of(tx, scene.made, "confirm")
    await escalation.climb(tx, task, by=by, at=NOW + timedelta(days=1))


async def on_the_ladder(tx: Tx, scene: Scene) -> Any:
    case = await watched(tx, scene)
    due_at = NOW + timedelta(minutes=30)
    await tasks.ask(tx, await find.task_of(tx, case, "confirm"), parameters=None, due_at=due_at, by=ENGINE, at=NOW)
    return case


async def reschedule(tx: Tx, scene: Scene, by: Actor) -> None:
    def put_off(row: Any) -> None:
        row.due_at = LATER + timedelta(days=1)

    case = await find.case(tx, scene.drill.case.id, lock=True)
    await pausing.reschedule(tx, case, "severity", put_off, by=by, at=LATER)


LINK_KEYS = links.LinkKeys(("k" * 43,))


async def linked(tx: Tx, scene: Scene) -> str | None:
    """Mint a link to a task that was asked, and return the digest of its name."""
    await asked(tx, scene, "report")
    return LINK_KEYS.read_link(await minted(tx, scene, ENGINE) or "")


async def minted(tx: Tx, scene: Scene, by: Actor) -> str | None:
    report = await scene.task(tx, "report")
    day = timedelta(days=1)
    return await links.mint(tx, report, scene.drill.ada, "email", keys=LINK_KEYS, lasts=day, by=by, at=NOW)


async def revoke_links(tx: Tx, scene: Scene, by: Actor) -> int:
    return await links.revoke(tx, await scene.task(tx, "report"), "mailbox was broken into", by=by, at=LATER)


async def linked_to_approve(tx: Tx, scene: Scene) -> str | None:
    """Mint a link to an approval, for somebody whom a text reaches too."""
    await asked(tx, scene, "block", parameters={"url": "x"})
    day, block = timedelta(days=1), await scene.task(tx, "block")
    token = await links.mint(tx, block, scene.drill.mia, "email", keys=LINK_KEYS, lasts=day, by=ENGINE, at=NOW)
    return LINK_KEYS.read_link(token or "")


async def coded(tx: Tx, scene: Scene) -> str | None:
    name = await linked_to_approve(tx, scene)
    await links.send_code(tx, name, by=ENGINE, at=NOW)
    return name


async def shared_reply(tx: Tx, scene: Scene, by: Actor) -> None:
    number = scene.drill.bob.phone or ""
    await replies.take_of_shared(tx, number, "sms", "SM2", replies.read("stop"), by=by, at=LATER)


async def mail_told(tx: Tx, scene: Scene) -> replies.Letter:
    """Return a mail that answers the message to Ada about a task."""
    message = await waiting(tx, scene)
    said, named = replies.read_reply("ACK"), replies.Named("reply", message.id)
    return replies.Letter(key="k", sha256="0" * 64, raw=b"ACK", sender="ada@example.org", named=named, said=said)


async def bounced(tx: Tx, scene: Scene) -> replies.Letter:
    """Return what a mail server reports about a letter that it took."""
    message = await gone(tx, scene)
    report, said = replies.Report("failed", "5.1.1", ("ada@example.org",)), replies.read_reply("")
    named = replies.Named("bounce", message.id)
    return replies.Letter(key="k", sha256="0" * 64, raw=b"", sender=None, named=named, said=said, report=report)


async def mailbox_that_failed(tx: Tx, times: int) -> mailboxes.Reading:
    """Return the right to read a mailbox that failed so often."""
    for _ in range(times):
        reading = await mailboxes.claim(tx, "imap", "t", NOW)
        assert reading is not None
        await mailboxes.failed(tx, reading, "no route", by=ENGINE, at=NOW)
    again = await mailboxes.claim(tx, "imap", "t", NOW)
    assert again is not None
    return again


async def reply(tx: Tx, scene: Scene, by: Actor) -> None:
    sender = replies.Sender(scene.drill.bob, "sms", "SM1")
    await replies.take(tx, sender, replies.read("hello"), by=by, at=LATER)


async def reply_acknowledges(tx: Tx, scene: Scene, by: Actor) -> None:
    about = [await scene.task(tx, "report")]
    await acknowledge_by_reply(tx, about, scene.drill.ada, "email", by=by, at=LATER)


VERBS: dict[str, Verb] = {
    "absence.set_away": Verb(on_bob(absence.set_away, start=LATER, until=None, deputy=None)),
    "absence.set_back": Verb(on_bob(absence.set_back), bob_away),
    "access.restrict": Verb(lambda tx, s, by: access.restrict(tx, s.drill.case, [s.drill.ada], "x", by=by, at=LATER)),
    "access.unrestrict": Verb(on_case(access.unrestrict, "over"), restricted),
    "alerts.receive": Verb(lambda tx, s, by: alerts.receive(tx, ALERT, RAW, s.blobs, by=by, at=LATER)),
    "audit.bundle.write": Verb(on_store(write_bundle), writes_only_its_event=True),
    "audit.exports.begin": Verb(
        on_store(lambda s, by: exports.begin(s.store, exports.Selection(case=s.drill.case), "jsonl", by=by, at=LATER)),
        writes_only_its_event=True,
    ),
    "audit.exports.export": Verb(
        on_store(lambda s, by: exports.export(s.store, io.StringIO(), by=by, at=LATER)), writes_only_its_event=True
    ),
    "audit.exports.resume": Verb(
        on_store(lambda s, by: exports.resume(s.store, s.made, exports.ALL, by=by, at=LATER)),
        begun_export,
        writes_only_its_event=True,
    ),
    "audit.rotation.rotate": Verb(
        on_store(lambda s, by: rotation.rotate(s.store, s.made, by=by, at=LATER)), log_keys_at_hand, about_no_row=True
    ),
    "audit.run_states.note_run_states": Verb(
        lambda tx, s, by: audit.note_run_states(tx, next_state(s), by=by), writes_only_its_event=True
    ),
    "codes.check": Verb(check_code, code_sent, about_no_row=True),
    "codes.send": Verb(send_code, asks("report"), about_no_row=True),
    "configuration.note": Verb(
        on_store(lambda s, by: configuration.note(s.store, Settings(smtp_host="mx"), "relay", by=by, at=LATER)),
        writes_only_its_event=True,
    ),
    "contacts.mark_bad": Verb(on_bob(contacts.mark_bad, "email", why="550")),
    "contacts.mark_good": Verb(on_bob(contacts.mark_good, "email", why="it works"), unreachable),
    "contacts.opt_in": Verb(on_bob(contacts.opt_in, "sms", why="START"), unreachable),
    "contacts.opt_out": Verb(on_bob(contacts.opt_out, "sms", why="STOP")),
    "breaches.mark": Verb(lambda tx, s, by: breaches.mark(tx, s.made, by=by, at=LATER), late),
    "deadlines.after_task": Verb(after_task, watched),
    "deadlines.meet": Verb(
        lambda tx, s, by: deadlines.meet(tx, s.made, "law", "sent", person=s.drill.ada, by=by, at=LATER), watched
    ),
    "deadlines.move": Verb(
        lambda tx, s, by: deadlines.move(tx, s.made, "Law", NOW - timedelta(days=1), by=by, at=LATER), watched
    ),
    "deadlines.not_needed": Verb(not_needed, watched),
    "deadlines.pass_by": Verb(pass_by, watched),
    "escalation.climb": Verb(climb, on_the_ladder),
    "pausing.pause_case": Verb(on_case(pausing.pause_case, "waits for the police"), late),
    "pausing.pause_task": Verb(on_task(pausing.pause_task, "report", "waits"), asks("report")),
    "pausing.reschedule": Verb(reschedule, late),
    "pausing.resume_case": Verb(on_case(pausing.resume_case), paused),
    "pausing.resume_task": Verb(on_task(pausing.resume_task, "report"), paused),
    "cases.open_case": Verb(
        lambda tx, s, by: cases.open_case(tx, world.sop(), "Next", alert=s.made, by=by, at=LATER), waiting_alert
    ),
    "cases.edit": Verb(on_case(cases.edit, title="Other")),
    "cases.set_severity": Verb(on_case(cases.set_severity, "critical")),
    "channel_tests.record_test": Verb(on_bob(channel_tests.record_test, "email", "ok"), writes_only_its_event=True),
    "endings.cancel": Verb(on_case(endings.cancel, "a mistake")),
    "endings.close": Verb(on_case(endings.close, "all well"), reported),
    "endings.complete": Verb(on_case(endings.complete), all_closed),
    "endings.reopen": Verb(on_case(endings.reopen, "too early"), reopenable),
    "evidence.attach": Verb(
        lambda tx, s, by: evidence.attach(tx, s.drill.case, s.blobs, name="a", content=b"a", by=by, at=LATER)
    ),
    "links.answering.answer": Verb(
        lambda tx, s, by: links.answer(tx, s.made, links.Answer("done"), by=by, at=LATER), linked
    ),
    "links.answering.check_code": Verb(
        lambda tx, s, by: links.check_code(tx, s.made, "approve", "0", by=by, at=NOW), coded, about_no_row=True
    ),
    "links.answering.send_code": Verb(
        lambda tx, s, by: links.send_code(tx, s.made, by=by, at=LATER), linked_to_approve, about_no_row=True
    ),
    "links.visits.opened": Verb(
        lambda tx, s, by: links.opened(tx, s.made, count=1, by=by, at=LATER), linked, writes_only_its_event=True
    ),
    "links.visits.refused": Verb(
        lambda tx, s, by: links.refused(tx, s.made, "used", count=1, by=by, at=LATER),
        linked,
        writes_only_its_event=True,
    ),
    "links.minting.mint": Verb(minted, asks("report")),
    "links.minting.revoke": Verb(revoke_links, linked),
    "notes.add": Verb(on_case(notes.add, "words", author=ENGINE)),
    "notes.revise": Verb(lambda tx, s, by: notes.revise(tx, s.made, "others", by=by, at=LATER), a_note),
    "observables.add": Verb(on_case(observables.add, [("ip", "192.0.2.1"), ("ip", "192.0.2.2")])),
    "outbox.by_hand.cancel": Verb(
        lambda tx, s, by: outbox.cancel(tx, s.made.id, "told by phone", by=by, at=LATER), waiting, about_no_row=True
    ),
    "outbox.by_hand.retry": Verb(
        lambda tx, s, by: outbox.retry(tx, s.made.id, by=by, at=LATER), given_up, about_no_row=True
    ),
    "outbox.breaker.failed": Verb(
        lambda tx, s, by: breaker.failed(tx, s.made, AT_FAULT, outbox.Policy(), by=by, at=LATER),
        claimed,
        about_no_row=True,
    ),
    "outbox.breaker.worked": Verb(
        lambda tx, s, by: breaker.worked(tx, "email", by=by, at=LATER), channel_down, about_no_row=True
    ),
    "outbox.closing.closed": Verb(
        lambda tx, s, by: closing.closed(tx, s.made, True, by=by, at=LATER), gone, about_no_row=True
    ),
    "outbox.expiring.expire": Verb(
        lambda tx, s, by: outbox.expire(tx, by=by, at=NOW + timedelta(days=30)), asks("report"), about_no_row=True
    ),
    "outbox.falling_over.after_death": Verb(
        lambda tx, s, by: falling_over.after_death(tx, s.made, outbox.Policy(), by=by, at=LATER),
        given_up,
        about_no_row=True,
    ),
    "outbox.needless.cancel_needless": Verb(
        lambda tx, s, by: outbox.cancel_needless(tx, by=by, at=LATER), handed_over, about_no_row=True
    ),
    "outbox.quota.coalesce": Verb(
        lambda tx, s, by: quota.coalesce(tx, "email", FEW, by=by, at=LATER),
        asks("report", "look-around"),
        about_no_row=True,
    ),
    "outbox.receipts.receipt": Verb(
        lambda tx, s, by: outbox.receipt(tx, "email", "<1>", "delivered", by=by, at=LATER), gone, about_no_row=True
    ),
    "outbox.unreachable.give_up_unreachable": Verb(
        lambda tx, s, by: outbox.give_up_unreachable(tx, "email", outbox.Policy(), by=by, at=LATER),
        without_address,
        about_no_row=True,
    ),
    "outbox.settling.settle": Verb(
        lambda tx, s, by: outbox.settle(tx, s.made, outbox.Result("ok", "<1>"), by=by, at=NOW),
        claimed,
        about_no_row=True,
    ),
    "overdue.mark_overdue": Verb(on_task(overdue.mark_overdue, "report"), asks("report")),
    "people.import_": Verb(lambda tx, s, by: people.import_(tx, people.parse_csv(LISTED), {"tier1"}, by=by, at=LATER)),
    "privacy.content.erase_alert": Verb(
        lambda tx, s, by: privacy.erase_alert(tx, s.made, basis="asked", by=by, at=LATER), waiting_alert
    ),
    "privacy.content.erase_case": Verb(on_case(privacy.erase_case, basis="asked"), ended_with_words),
    "privacy.content.redact": Verb(
        lambda tx, s, by: privacy.redact(tx, s.drill.case, s.made.id, basis="asked", by=by, at=LATER), a_note
    ),
    "privacy.legal_holds.hold_case": Verb(on_case(privacy.hold_case, "court")),
    "privacy.legal_holds.hold_person": Verb(on_bob(privacy.hold_person, "court")),
    "privacy.legal_holds.release_case": Verb(on_case(privacy.release_case), held),
    "privacy.legal_holds.release_person": Verb(on_bob(privacy.release_person), held),
    "privacy.person.erase_person": Verb(on_bob(privacy.erase_person, basis="asked"), bob_signed),
    "sinks.state.register": Verb(
        lambda tx, s, by: sinks.register(tx, [OTHER_SINK], by=by, at=LATER), delivered, about_no_row=True
    ),
    "sinks.state.rewind": Verb(
        lambda tx, s, by: sinks.rewind(tx, SINK.name, 1, by=by, at=LATER), delivered, about_no_row=True
    ),
    "replies.by_mail.take_letter": Verb(
        lambda tx, s, by: replies.take_letter(tx, s.blobs, s.made, by=by, at=LATER), mail_told, about_no_row=True
    ),
    "replies.keeping.keep": Verb(
        lambda tx, s, by: keep(tx, s.blobs, s.made, s.drill.case, None, "reply", by=by, at=LATER), mail_told
    ),
    "replies.mailboxes.failed": Verb(
        lambda tx, s, by: mailboxes.failed(tx, s.made, "no route", by=by, at=LATER),
        lambda tx, _: mailbox_that_failed(tx, MAILBOX_FAILURES - 1),
        about_no_row=True,
    ),
    "replies.mailboxes.worked": Verb(
        lambda tx, s, by: mailboxes.worked(tx, s.made, by=by, at=LATER),
        lambda tx, _: mailbox_that_failed(tx, MAILBOX_FAILURES),
        about_no_row=True,
    ),
    "replies.outcomes.set_aside": Verb(
        lambda tx, s, by: replies.set_aside(tx, s.made, "refused", "unknown", by=by, at=LATER),
        mail_told,
        about_no_row=True,
    ),
    "replies.reports.take_report": Verb(
        lambda tx, s, by: take_report(tx, s.blobs, s.made, by=by, at=LATER, policy=outbox.Policy()),
        bounced,
        about_no_row=True,
    ),
    "replies.taking.acknowledge": Verb(reply_acknowledges, asks("report")),
    "replies.taking.may_see": Verb(
        lambda tx, s, by: may_see(tx, s.drill.bob, s.drill.case.id, by=by, at=LATER),
        restricted,
        writes_only_its_event=True,
    ),
    "replies.taking.take": Verb(reply, about_no_row=True),
    "replies.taking.take_of_shared": Verb(shared_reply, about_no_row=True),
    "sop_changes.note_deployed": Verb(
        lambda tx, _, by: sop_changes.note_deployed(tx, [world.sop()], by=by, at=LATER), writes_only_its_event=True
    ),
    "sop_changes.note_library": Verb(
        lambda tx, _, by: sop_changes.note_library(tx, [world.sop()], by=by, at=LATER), writes_only_its_event=True
    ),
    "sops.pin": Verb(lambda tx, _, by: sops.pin(tx, OTHER_SOP, by=by, at=LATER), about_no_row=True),
    "stages.activate": Verb(on_stage(stages.activate, "analyse", due_at=None)),
    "stages.decide_condition": Verb(on_stage(stages.decide_condition, "contain", False, {})),
    "stages.finish": Verb(on_stage(stages.finish, "contain"), empty_stage),
    "tasks.acknowledging.acknowledge": Verb(acknowledge, asks("report")),
    "tasks.approvals.give": Verb(give_approval, asks("sign-off")),
    "tasks.approvals.void": Verb(void_approvals, approval_given),
    "tasks.approvals.renew": Verb(on_task(tasks.renew, "block"), asks("block")),
    "tasks.decisions.approve": Verb(decides(tasks.approve, "sign-off", "mia", note="yes"), asks("sign-off")),
    "tasks.decisions.complete": Verb(
        decides(tasks.complete, "confirm", "ada", form_values=ANSWERS, note="seen"), asks("confirm")
    ),
    "tasks.decisions.reject": Verb(decides(tasks.reject, "sign-off", "mia"), asks("sign-off")),
    "tasks.decisions.retry": Verb(decides(tasks.retry, "extract", "ada", note="again"), failed),
    "tasks.decisions.skip": Verb(decides(tasks.skip, "look-around", "ada", "no need"), asks("look-around")),
    "tasks.executions.start_action": Verb(
        on_task(tasks.start_action, "extract", run_id="r2", code_version="1", inputs={}), running
    ),
    "tasks.executions.finish_action": Verb(
        lambda tx, s, by: tasks.finish_action(tx, s.made, outcome="failed", output={}, error="no", by=by, at=LATER),
        running,
    ),
    "tasks.opening.ask": Verb(on_task(tasks.ask, "report", parameters=None, due_at=LATER)),
    "tasks.opening.decide_condition": Verb(on_task(tasks.decide_condition, "tidy", False, {})),
    "tasks.ownership.become_owner": Verb(become_owner, asks("report")),
    "tasks.ownership.reassign": Verb(hand_over, asks("report")),
    "tasks.ownership.take_over": Verb(take_over, asks("report")),
}
