"""A case from its beginning to its end, with people answering in the Prefect UI."""

import json
from datetime import UTC, datetime

from sqlalchemy import select

from case_store import alerts, find, models
from case_store.actor import Actor
from case_store.alert_formats import parse
from case_store.blobs import Blobs
from tests.site import Desk, until

JUDGED = {"verdict": "bad", "count": 3, "note": "Seen it.", "signed_by": "ana"}


async def test_goes_through_its_stages_and_everything_is_on_record(desk: Desk) -> None:
    case = await desk.open("short")
    await desk.answer(case.number, "judge", **JUDGED)
    await desk.answer(case.number, "approve-mark", decision="approve", signed_by="mia")
    await desk.answer(case.number, "tell", decision="done", signed_by="ben")
    closed = await desk.ends(case.number)

    assert closed.resolution == "completed"
    judged = await desk.task(case.number, "judge")
    assert (judged.decision, judged.form_values, judged.signed_by) == (
        "completed",
        {"verdict": "bad", "count": 3},
        "ana",
    )
    assert judged.decided_at is not None
    assert judged.decided_via == "Prefect UI"
    approved = await desk.task(case.number, "approve-mark")
    assert (approved.state, approved.decision, approved.result) == ("done", "approved", {"word": "bad", "count": 1})
    assert (await desk.state(case.number))["polish"] == "not_applicable"
    types = [event["type"] for event in await desk.events(case.number)]
    for expected in (
        "case.opened",
        "stage.started",
        "execution.ended",
        "evidence.attached",
        "task.approved",
        "case.completed",
    ):
        assert expected in types


async def test_attaches_what_an_action_found(desk: Desk) -> None:
    case = await desk.open("short")
    await desk.becomes(case.number, "mark", "done")
    async with desk.store.reading() as tx:
        row = await find.case(tx, case.number)
        execution = (await tx.session.scalars(select(models.Execution).where(models.Execution.case_id == row.id))).one()
        evidence = await tx.session.get_one(models.Evidence, execution.evidence_id)
    assert execution.outcome == "succeeded"
    assert execution.inputs == {"word": "seen"}
    assert execution.code_version.startswith("tests.site_actions")
    assert execution.duration_ms is not None
    assert execution.run_id
    assert evidence.sha256 == execution.sha256
    assert await Blobs(desk.site.settings.blobs).read(evidence.sha256) == b"seen"


async def test_is_seen_in_prefect_by_number_and_words_of_the_sop_only(desk: Desk) -> None:
    case = await desk.open("short", title="Secret about somebody")
    question = await desk.question(case.number, "judge")
    runs = await desk.runs(tags={"all_": [f"case:{case.number}"]})
    names = {run["name"] for run in runs}
    assert {
        f"CASE-{case.number} · short",
        f"CASE-{case.number} · look",
        f"CASE-{case.number} · look · Judge what was seen",
    } <= names
    assert "Secret" not in json.dumps(runs)
    assert (await desk.run(question.flow_run_id))["state"]["name"] == "Suspended"


async def test_shows_its_progress_as_artifacts(desk: Desk) -> None:
    case = await desk.open("short")
    await desk.question(case.number, "judge")

    async def artifacts() -> list[dict[str, object]]:
        wanted = {"artifacts": {"key": {"like_": f"case-{case.number}-"}}}
        found = (await desk.client.post("/artifacts/filter", json=wanted)).json()
        return found if isinstance(found, list) and len(found) >= 2 else []

    found = {one["key"]: one for one in await until(artifacts)}
    assert found[f"case-{case.number}-progress"]["data"] == 20
    table = json.loads(str(found[f"case-{case.number}-tasks"]["data"]))
    assert {"task": "Judge what was seen", "state": "open"}.items() <= table[1].items()


async def test_ends_without_the_second_stage_when_its_condition_is_not_met(desk: Desk) -> None:
    case = await desk.open("short")
    await desk.answer(case.number, "judge", **{**JUDGED, "verdict": "good"})
    await desk.ends(case.number)
    assert (await desk.state(case.number))["tell"] == "not_applicable"
    conditions = [event for event in await desk.events(case.number) if event["type"] == "stage.not_applicable"]
    assert conditions[0]["facts"]["condition"] == 'tasks.judge.verdict == "bad"'


async def test_every_state_of_its_runs_is_on_record_once(desk: Desk) -> None:
    case = await desk.open("short")
    await desk.answer(case.number, "judge", **{**JUDGED, "verdict": "good"})
    await desk.ends(case.number)
    root = await desk.root(case.number)

    async def recorded() -> bool:
        states = (await desk.client.get("/flow_run_states/", params={"flow_run_id": root})).json()
        on_record = [event["event_id"] for event in await desk.events(case.number) if event["type"] == "run.state"]
        return states[-1]["type"] == "COMPLETED" and all(on_record.count(state["id"]) == 1 for state in states)

    assert await until(recorded)


async def test_starts_in_prefect_with_title_severity_and_alert(desk: Desk) -> None:
    raw = json.dumps(
        {"source": "test", "source_ref": datetime.now(UTC).isoformat(), "title": "Something", "severity": "low"}
    )
    async with desk.store.transaction() as tx:
        alert, new = await alerts.receive(
            tx,
            parse(raw.encode(), "generic")[0],
            raw.encode(),
            Blobs(desk.site.settings.blobs),
            by=Actor.system("test"),
            at=datetime.now(UTC),
        )
    assert new
    deployment = (await desk.client.get("/deployments/name/short/short")).json()
    run = await desk.start(deployment["id"], title="From Prefect", severity="high", alert=alert.id)

    async def opened() -> models.Case | None:
        async with desk.store.reading() as tx:
            return await tx.session.scalar(
                select(models.Case)
                .join(models.CaseRun, models.CaseRun.case_id == models.Case.id)
                .where(models.CaseRun.flow_run_id == run["id"])
            )

    case = await until(opened)
    assert (case.title, case.severity) == ("From Prefect", "high")
    await desk.question(case.number, "judge")
    async with desk.store.reading() as tx:
        assert (await find.alert(tx, alert.id)).case_id == case.id
    named = await desk.run(run["id"])
    assert named["name"] == f"CASE-{case.number} · short"
    assert f"case:{case.number}" in named["tags"]


async def test_its_deployment_tells_what_the_sop_does(desk: Desk) -> None:
    deployment = (await desk.client.get("/deployments/name/phishing/phishing")).json()
    assert "| task | kind | owner | within |" in deployment["description"]
    form = deployment["parameter_openapi_schema"]["properties"]
    assert list(form) == ["title", "severity", "alert", "case_id"]
    assert form["severity"]["description"].startswith("Severity of the new case")


async def test_starts_in_prefect_for_a_case_that_exists(desk: Desk) -> None:
    case = await desk.open("short")
    await desk.question(case.number, "judge")
    first = await desk.root(case.number)
    deployment = (await desk.client.get("/deployments/name/short/short")).json()
    made = await desk.start(deployment["id"], case_id=f"CASE-{case.number}")

    async def taken_over() -> bool:
        return await desk.root(case.number) == made["id"]

    assert first != made["id"]
    assert await until(taken_over)
    await desk.answer(case.number, "judge", **{**JUDGED, "verdict": "good"})
    await desk.ends(case.number)
    completed = [event for event in await desk.events(case.number) if event["type"] == "task.completed"]
    assert len(completed) == 1


async def test_what_it_is_about_is_in_no_log_line_and_no_parameter(desk: Desk) -> None:
    case = await desk.open("short", title="Zebra in the data centre")
    await desk.answer(case.number, "judge", **{**JUDGED, "verdict": "good", "note": "A zebra it was."})
    await desk.ends(case.number)
    root = await desk.root(case.number)
    runs = await desk.runs(tags={"all_": [f"case:{case.number}"]})

    async def logged() -> list[dict[str, object]]:
        wanted = {"logs": {"flow_run_id": {"any_": [run["id"] for run in runs]}}}
        lines: list[dict[str, object]] = (await desk._request("POST", "/logs/filter", json=wanted)).json()
        over = any(line["flow_run_id"] == root and "Finished in state" in str(line["message"]) for line in lines)
        return lines if over else []

    said = [json.dumps(await until(logged)), json.dumps(runs)]
    said += [log.read_text() for log in desk.site.logs.glob("*.log")]
    assert {"serve.log", "server.log"} <= {log.name for log in desk.site.logs.glob("*.log")}
    assert not [text for text in said if "zebra" in text.lower()]
