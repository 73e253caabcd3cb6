"""`casewright task approve` where the SOP wants several people, or a code."""

import pytest
from sqlalchemy import select

from case_store import cases, find, people, tasks
from case_store.models import OutboxEntry
from tests.console.conftest import ENGINE, NOW

PHONE = "handle,name,email,phone,roles\ndana,Dana Okafor,dana@demo.example,+4930901820,analyst;tier1\n"

SOP = """
sop: paying
version: 1
title: Paying
owner: role:tier1
stages:
  - key: pay
    title: Pay
    tasks:
      - key: both
        title: Let two agree
        approval: {from: "role:analyst", needed: 2}
        action: note.add
        with: {body: case.title}
      - key: release
        title: Release it
        approval: {from: "role:analyst", sign_off_code: true}
"""


@pytest.fixture
def paying(tmp_path, monkeypatch, in_store, casewright):
    """Case 1, in which both approvals are asked for."""
    (tmp_path / "sops").mkdir()
    (tmp_path / "sops" / "paying.yaml").write_text(SOP)
    monkeypatch.setenv("CASEWRIGHT_SOPS", str(tmp_path / "sops"))
    opened = casewright("case", "open", "--sop", "paying", "--title", "Invoice 7")
    assert opened.code == 0, opened.err

    async def ask(tx):
        await people.import_(tx, people.parse_csv(PHONE), {"analyst", "tier1"}, by=ENGINE, at=NOW)
        case = await find.case(tx, 1)
        for key, parameters in (("both", {"body": "Invoice 7"}), ("release", None)):
            task = await find.task_of(tx, case, key)
            await tasks.ask(tx, task, parameters=parameters, due_at=None, by=ENGINE, at=NOW)

    in_store(ask)


async def rename(tx, title):
    await cases.edit(tx, await find.case(tx, 1), title=title, by=ENGINE, at=NOW)


def digits(in_store) -> str:
    async def read(tx):
        wanted = select(OutboxEntry).where(OutboxEntry.template == "code").order_by(OutboxEntry.next_at.desc())
        return (await tx.session.scalars(wanted)).first().context["code"]["digits"]

    return in_store(read)


def test_two_approve_and_the_page_says_who(casewright, paying):
    said = casewright("task", "approve", "1/both")
    assert (said.code, said.out) == (0, "1/both: approved by 1; it needs others too\n"), said.err
    again = casewright("task", "approve", "1/both")
    assert again.code == 1
    assert "dana has approved" in again.err
    said = casewright("task", "approve", "1/both", "--as", "tomas")
    assert (said.code, said.out) == (0, "1/both: decided; its action runs next\n"), said.err
    assert casewright("task", "show", "1/both", "--json").json["approved_by"] == ["dana", "tomas"]
    assert "dana, tomas" in casewright("task", "show", "1/both").out
    told = [row["detail"] for row in casewright("case", "timeline", "1", "--json").json["timeline"]]
    assert [one for one in told if " of 2" in one] == ["by dana; 1 of 2", "by tomas; 2 of 2"]


def test_other_parameters_void_what_was_approved(casewright, paying, in_store):
    seen = casewright("task", "show", "1/both", "--json").json["parameters_sha256"]
    assert casewright("task", "approve", "1/both", "--seen", seen).code == 0
    assert casewright("task", "renew", "1/both").out == "1/both: its parameters are the same\n"
    in_store(lambda tx: rename(tx, "Invoice 8"))
    said = casewright("task", "renew", "1/both")
    assert (said.code, said.out) == (
        0,
        "1/both: its parameters have changed; it is asked again, and what was approved is void\n",
    )
    assert casewright("task", "show", "1/both", "--json").json["approved_by"] == []
    late = casewright("task", "approve", "1/both", "--as", "tomas", "--seen", seen)
    assert late.code == 1
    assert "no longer those that you saw" in late.err


def test_a_code_is_asked_for_sent_and_checked(casewright, paying, in_store):
    said = casewright("task", "approve", "1/release")
    assert said.code == 1
    assert "casewright task code" in said.err
    said = casewright("task", "code", "1/release")
    assert said.code == 0, said.err
    assert "sent to dana by sms; it is good until" in said.out
    code = digits(in_store)
    wrong = casewright("task", "approve", "1/release", "--code", f"{(int(code) + 1) % 10**8:08}")
    assert wrong.code == 1
    assert "may be tried 4 more times" in wrong.err
    wrong = casewright("task", "reject", "1/release", "--code", "12")
    assert "may be tried 3 more times" in wrong.err, "a wrong try counts although it is refused"
    said = casewright("task", "approve", "1/release", "--code", code)
    assert (said.code, said.out) == (0, "1/release is done\n"), said.err
    assert code not in casewright("case", "timeline", "1").out


@pytest.mark.parametrize(
    ("task", "who", "why"),
    [("1/both", "dana", "is not signed with a code"), ("1/release", "irene", "which irene is not")],
)
def test_no_code_goes_to_whoever_cannot_use_it(casewright, paying, task, who, why):
    said = casewright("task", "code", task, "--as", who)
    assert said.code == 1
    assert why in said.err


def test_an_approval_is_skipped_with_a_code_too(casewright, paying, in_store):
    unsigned = casewright("task", "skip", "1/release", "--reason", "not needed")
    assert (unsigned.code, "signed with a code" in unsigned.err) == (1, True), unsigned.err
    assert casewright("task", "code", "1/release").code == 0
    said = casewright("task", "skip", "1/release", "--reason", "not needed", "--code", digits(in_store))
    assert (said.code, said.out) == (0, "1/release is skipped\n"), said.err
