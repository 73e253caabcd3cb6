"""Asking Prefect the way its UI does, with Prefect's own odd answers."""

import json

import httpx
import pytest

from console.errors import AnswerRefused, PrefectUnreachable
from console.prefect_api import PrefectApi, WaitingRun

RUN = WaitingRun("7f", "CASE-1 · triage · confirm", "paused-1-schema")


class Prefect:
    """Answers from a list, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, request):
        self.asked.append((request.method, request.url.path, json.loads(request.content or "null")))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
async def ask():
    clients = []

    def make(*answers):
        prefect = Prefect(*answers)
        clients.append(httpx.AsyncClient(transport=httpx.MockTransport(prefect)))
        return prefect, PrefectApi("http://127.0.0.1:4200/api", clients[-1], pause=0)

    yield make
    for client in clients:
        await client.aclose()


async def test_waiting_runs_are_those_with_the_tag_and_a_form(ask):
    keyset = {"schema": "paused-1-schema", "response": "paused-1-response"}
    found = [
        {"id": "7f", "name": RUN.name, "state": {"state_details": {"run_input_keyset": keyset}}},
        {"id": "80", "name": "no form", "state": {"state_details": {}}},
    ]
    prefect, api = ask(httpx.Response(200, json=found))
    assert await api.waiting() == [RUN]
    ((method, path, body),) = prefect.asked
    assert (method, path) == ("POST", "/api/flow_runs/filter")
    assert body["flow_runs"] == {
        "tags": {"all_": ["casewright:question"]},
        "state": {"type": {"any_": ["PAUSED"]}},
    }


async def test_the_form_is_read_from_the_runs_inputs(ask):
    prefect, api = ask(httpx.Response(200, text='{"properties": {"note": {"type": "string"}}}'))
    assert (await api.form(RUN))["properties"]["note"] == {"type": "string"}
    assert prefect.asked == [("GET", "/api/flow_runs/7f/input/paused-1-schema", None)]


async def test_an_answer_is_a_resume_with_the_form_values(ask):
    prefect, api = ask(httpx.Response(201, json={"status": "ACCEPT"}))
    await api.answer(RUN, {"decision": "done"})
    assert prefect.asked == [("POST", "/api/flow_runs/7f/resume", {"run_input": {"decision": "done"}})]


async def test_a_refusal_comes_with_status_200_and_is_an_error_with_the_reason(ask):
    details = {"type": "abort_details", "reason": "Reason: 'x' is not one of ['a']"}
    _, api = ask(httpx.Response(200, json={"status": "REJECT", "details": details}))
    with pytest.raises(AnswerRefused, match="'x' is not one of"):
        await api.answer(RUN, {"decision": "x"})


async def test_a_locked_database_and_a_restarting_server_are_asked_again(ask):
    locked = httpx.Response(503, json={"detail": "database is locked"})
    prefect, api = ask(locked, httpx.ConnectError("refused"), httpx.Response(201, json={"status": "ACCEPT"}))
    await api.answer(RUN, {})
    assert len(prefect.asked) == 3


async def test_a_server_that_stays_away_is_named(ask):
    _, api = ask(*[httpx.ConnectError("connection refused")] * 20)
    with pytest.raises(PrefectUnreachable, match=r"127\.0\.0\.1:4200.*connection refused"):
        await api.waiting()
