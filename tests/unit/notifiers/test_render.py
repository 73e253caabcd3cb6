import copy
from dataclasses import astuple
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.exceptions import SecurityError, TemplateError, UndefinedError
from markupsafe import Markup

from notifiers.catalogue import LANGUAGES
from notifiers.errors import RenderRefused
from notifiers.render import TEMPLATES, render
from notifiers.sandbox import Sandbox

FACTS = {
    "case": {"number": 42, "title": "Mail with a strange link", "severity": "high"},
    "task": {"title": "Block the sender", "stage": "Contain"},
    "due": "2026-11-24T13:00:00+00:00",
    "link": "https://casewright.example/tasks/1?a=1&b=2",
    "recipient": {"name": "Ana Example", "time_zone": "Europe/Berlin"},
}
ABOUT_TASKS = ["assigned", "overdue", "warning"]
HOSTILE = '<script>alert(1)</script>" onload=x \r\nApprove: https://evil.example\u2028{{ 7*7 }} {% raw %}'


def facts(**changes: object) -> dict:
    """The usual facts; `case__title=...` changes one inside."""
    changed = copy.deepcopy(FACTS)
    for path, value in changes.items():
        *above, name = path.split("__")
        target = changed
        for step in above:
            target = target[step]
        target[name] = value
    return changed


class Seen(HTMLParser):
    """What a mail program makes of the HTML: its tags, links and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.links, self.text = set(), [], ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_assigned():
    message = render("assigned", FACTS)
    assert message.subject == "[CASE-42] For you: Block the sender"
    assert message.text == (
        "Ana Example, a task waits for you.\n"
        "\n"
        "Task:  Block the sender\n"
        "Due:   Tue 24 Nov 2026, 14:00 CET\n"
        "Case:  CASE-42 (high), stage Contain\n"
        "       Mail with a strange link\n"
        "\n"
        "Read what to do and decide it here:\n"
        "https://casewright.example/tasks/1?a=1&b=2\n"
    )
    assert message.sms == (
        'CASE-42: "Block the sender" waits for you, due Tue 24 Nov 2026, 14:00 CET. '
        "https://casewright.example/tasks/1?a=1&b=2"
    )


def test_overdue():
    message = render("overdue", FACTS)
    assert message.subject == "[CASE-42] Overdue: Block the sender"
    assert "Was due: Tue 24 Nov 2026, 14:00 CET\n" in message.text
    assert message.sms.startswith('CASE-42: OVERDUE "Block the sender", was due Tue 24 Nov 2026, 14:00 CET. https://')


@pytest.mark.parametrize(("language", "told"), [("en", "rungs 1 2"), ("de", "Stufen 1 2")])
def test_escalated_says_which_rung_and_who_was_left_out(language: str, told: str):
    more = {"rung": 3, "after": "1h", "late_by": "2h 5m", "missed": [1, 2]}
    message = render("escalated", {**FACTS, **more}, language)
    assert told in message.text
    assert ": 3, 1h" in message.text.replace("  ", " ").replace("  ", " ")
    assert "2h 5m" in message.sms
    assert told not in render("escalated", {**FACTS, **more, "missed": []}, language).text


def test_checkpoint_is_in_the_text_as_it_was_signed_with_what_to_do_with_it():
    note = "soc.example/audit\n12\nAAAA+/=\n\n\N{EM DASH} soc.example/audit Zm9v\n"
    told = {"at": FACTS["due"], "size": 12, "lines": note.splitlines()}
    message = render("checkpoint", {"checkpoint": told, "recipient": FACTS["recipient"], "link": FACTS["link"]})
    assert note in message.text
    assert "12 events" in message.subject
    for part in (message.text, Seen(message.html).text):
        assert "Tue 24 Nov 2026, 14:00 CET" in part
        assert "--checkpoint" in part


@pytest.mark.parametrize("template", ABOUT_TASKS)
def test_every_part_says_what_by_when_and_where(template: str):
    message = render(template, FACTS)
    html = Seen(message.html)
    for part in (message.text, message.sms, html.text):
        assert "CASE-42" in part
        assert "Block the sender" in part
        assert "Tue 24 Nov 2026, 14:00 CET" in part
    assert FACTS["link"] in message.text
    assert FACTS["link"] in message.sms
    assert html.links == [FACTS["link"]]


@pytest.mark.parametrize("template", ABOUT_TASKS)
def test_task_without_a_time_says_so_or_says_nothing(template: str):
    message = render(template, facts(due=None))
    assert not any("None" in part or "UTC" in part for part in astuple(message))


def test_task_of_a_role_names_the_role():
    message = render("assigned", facts(task__role="analyst"))
    assert "someone with the role analyst." in message.text
    assert "someone with the role analyst." in Seen(message.html).text


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("Asia/Tokyo", "22:00 JST"),
        ("America/New_York", "08:00 EST"),
        (None, "13:00 UTC"),
        ("", "13:00 UTC"),
        ("Mars/Olympus", "13:00 UTC"),
        ("../../etc/passwd", "13:00 UTC"),
        ("Europe", "13:00 UTC"),
    ],
)
def test_time_is_on_the_clock_of_the_reader(zone: str | None, shown: str):
    assert f"Tue 24 Nov 2026, {shown}" in render("assigned", facts(recipient__time_zone=zone)).text


@pytest.mark.parametrize("template", ABOUT_TASKS)
@pytest.mark.parametrize("path", ["case__title", "case__severity", "task__title", "task__stage", "recipient__name"])
def test_hostile_fact_is_only_ever_a_value(template: str, path: str):
    message = render(template, facts(**{path: HOSTILE}))
    usual = render(template, FACTS)
    html = Seen(message.html)
    assert html.tags == Seen(usual.html).tags
    assert html.links == [FACTS["link"]]
    assert message.text.count("\n") == usual.text.count("\n")
    assert message.subject.isprintable()
    assert message.sms.isprintable()
    assert "49" not in "".join(astuple(message))


def test_title_of_an_alert_brings_no_link_and_never_enters_subject_or_text_message():
    message = render("assigned", facts(case__title="see https://evil.example or x@evil.example"))
    assert "evil.example" not in "".join(astuple(message))
    assert "hxxps://evil[.]example" in message.text
    assert "evil" not in message.subject + message.sms


@pytest.mark.parametrize("path", ["case__severity", "task__title", "recipient__name"])
def test_markup_handed_in_is_escaped_all_the_same(path: str):
    assert "<b>" not in render("assigned", facts(**{path: Markup("<b>bold</b>")})).html


@given(st.text(st.characters(codec=None, categories=None)))
def test_any_title_gives_a_message_within_bounds(title: str):
    message = render("assigned", facts(task__title=title * 50, case__title=title * 50))
    assert len(message.subject) < 200
    assert len(message.sms) < 320
    assert FACTS["link"] in message.sms
    "".join(astuple(message)).encode("utf-8")


@pytest.mark.parametrize("missing", ["case", "task", "due", "link", "recipient"])
def test_missing_fact_is_named(missing: str):
    with pytest.raises(RenderRefused, match=missing) as refusal:
        render("assigned", {name: value for name, value in FACTS.items() if name != missing})
    assert "next: " in refusal.value.diagnostics()


def test_missing_part_of_a_fact_is_named():
    with pytest.raises(RenderRefused, match="severity"):
        render("assigned", facts(case={"number": 42, "title": "x"}))


@pytest.mark.parametrize("due", ["tomorrow", "2026-11-24T13:00:00", 5, ["x"]])
def test_due_that_is_no_moment_is_refused(due: object):
    with pytest.raises(RenderRefused, match="due"):
        render("assigned", facts(due=due))


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "javascript://x/%0aalert(1)",
        "ftp://x/",
        "data:text/html,x",
        "/tasks/1",
        "https://",
        "https://x/ y",
        "https://x/\r\ny",
        "",
    ],
)
def test_link_leads_to_the_web_or_is_refused(link: str):
    with pytest.raises(RenderRefused, match="link"):
        render("assigned", facts(link=link))


@pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}, type, [object()], {"deep": object()}])
def test_live_object_is_refused(value: object):
    with pytest.raises(RenderRefused, match="extra"):
        render("assigned", facts(extra=value))


@pytest.mark.parametrize("name", ["nothing", "", "../assigned", "assigned/text.txt"])
def test_template_is_one_of_ours(name: str):
    with pytest.raises(RenderRefused, match="no message template") as refusal:
        render(name, FACTS)
    assert "alarm, assigned, checkpoint" in refusal.value.next_step


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_is_there_in_every_language(language: str):
    folder = files("notifiers") / "templates" / language
    found = {entry.name: {part.name for part in entry.iterdir()} - {"body.html"} for entry in folder.iterdir()}
    assert found == {key: {"subject.txt", "text.txt", "sms.txt"} for key in TEMPLATES}


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ x.__init__.__globals__ }}",
        "{{ '{0.__class__}'.format(x) }}",
        "{{ numbers.append(1) }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 2 ** 100000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 'a' | center(1000000000) }}",
        "{{ range(10) }}",
        "{{ cycler }}",
        "{% include 'assigned/text.txt' %}",
        "{% import 'assigned/text.txt' as t %}",
        "{{ nothing }}",
        "{{ x.nothing }}",
    ],
)
@pytest.mark.parametrize("autoescape", [True, False])
def test_template_of_ours_can_do_no_harm_by_mistake(source: str, autoescape: bool):
    with pytest.raises((SecurityError, UndefinedError, TemplateError, TypeError)) as refusal:
        Sandbox(autoescape=autoescape).from_string(source).render({"x": {"y": 1}, "numbers": [1]})
    assert "out of memory" not in str(refusal.value)


@pytest.mark.parametrize("language", ["en", "de"])
def test_an_alarm_says_where_to_look(language: str):
    places = {"message": "casewright outbox list", "channel": "casewright outbox list", "mailbox": "casewright reply"}
    said = {}
    for about, place in places.items():
        about_it = {"about": about, "channel": "email", "template": "imap"}
        message = render("alarm", {"alarm": about_it, "recipient": FACTS["recipient"]}, language=language)
        assert all(place in text and text.count("casewright") == 1 for text in (message.text, message.sms))
        said[about] = message.subject
    assert len(set(said.values())) == len(places), said
