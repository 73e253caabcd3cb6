"""Messages of the syslog protocol, RFC 5424: one event, one line, without the framing of a transport (RFC 5425, 6587).

The structured data has what the event is; the message has it in words, and changes and facts as JSON.
"""

from __future__ import annotations

import re
from typing import Final

from case_store.audit.catalogue.kinds import Outcome
from case_store.audit.formats import meaning
from case_store.audit.formats.record import Format, Record
from case_store.audit.formats.values import as_json, cut, visible

ENTERPRISE_NUMBER: Final = 32473
"""In the name of our structured data. This one is reserved for documentation (RFC 5612): whoever has a number of their
own, from IANA, puts it here."""

SD_ID: Final = f"casewright@{ENTERPRISE_NUMBER}"
"""The name of our structured data, in every syslog message that leaves."""

FACILITY: Final = 13  # log audit
_SEVERITY: Final[dict[Outcome, int]] = {"success": 6, "unknown": 5, "failure": 4}  # info, notice, warning
_BOM: Final = "\ufeff"  # RFC 5424, 6.4: a message in UTF-8 begins with it
_MOST_MESSAGE_ID: Final = 32
_MOST_VALUE: Final = 512
_MOST_MESSAGE: Final = 6000
_ESCAPED: Final = re.compile(r'["\\\]]')
_NOT_IN_A_HEADER: Final = re.compile("[^!-~]")


def _line(record: Record) -> str:
    priority = FACILITY * 8 + _SEVERITY[meaning.outcome(record)]
    message_id = _NOT_IN_A_HEADER.sub("_", record.type)[:_MOST_MESSAGE_ID] or "-"
    head = f"<{priority}>1 {record.event['ts']} - casewright - {message_id}"
    return f"{head} {_structured(record)} {_BOM}{_message(record)}"


def _structured(record: Record) -> str:
    event, actor, about = record.event, record.event["actor"], meaning.thing(record)
    values = {
        "event": event["event_id"],
        "type": record.type,
        "outcome": meaning.outcome(record),
        "stream": event["stream"],
        "seq": event.get("seq"),
        "idx": record.idx,
        "leaf": record.leaf,
        "prev": event.get("prev"),
        "actor": f"{actor['kind']}:{actor['id']}",
        "actorName": record.actor_name,
        "entity": f"{about['type']}/{about['uid']}",
        "request": event["request_id"],
    }
    told = "".join(f' {name}="{_value(str(value))}"' for name, value in values.items() if value is not None)
    return f"[{SD_ID}{told}]"


def _value(value: str) -> str:
    return _ESCAPED.sub(lambda found: "\\" + found[0], cut(visible(value), _MOST_VALUE))


def _message(record: Record) -> str:
    told = {name: record.event[name] for name in ("changes", "facts") if record.event[name]}
    words = visible(meaning.sentence(record))
    return cut(f"{words} {as_json(told)}" if told else words, _MOST_MESSAGE)


FORMAT: Final = Format(name="syslog", suffix=".log", line=_line)
