"""Chain of custody as JSON-LD in the CASE ontology 1.5 on UCO (caseontology.org): events of evidence, nothing else.

Each becomes an investigative action by somebody at a time; what it made or took is an observable object with its
SHA-256 and size. Identifiers are made from those of the events: the same event is the same node in every export.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from case_store.audit.formats import meaning
from case_store.audit.formats.record import Format, Record
from case_store.audit.formats.values import PRODUCT, json_line, product_version

Node = dict[str, Any]

_CASE: Final = "https://ontology.caseontology.org/case/investigation/"
_UCO: Final = "https://ontology.unifiedcyberontology.org/uco/"
_CONTEXT: Final = {
    "case-investigation": _CASE,
    **{f"uco-{part}": f"{_UCO}{part}/" for part in ("action", "core", "identity", "observable", "tool", "types")},
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


def _begin() -> str:
    """Open the document. The tool is its first node, so that every later one begins with a comma."""
    tool = {"@id": _id("tool"), "@type": "uco-tool:Tool", "uco-core:name": PRODUCT}
    tool["uco-tool:version"] = product_version()
    return f'{{"@context":{json_line(_CONTEXT)},"@graph":[\n{json_line(tool)}\n'


def _line(record: Record) -> str:
    file = meaning.evidence(record)
    if file is None:
        return ""
    action = _action(record, file)
    nodes = [action, *_investigation(record, action["@id"])]
    return "".join(f",{json_line(node)}" for node in nodes)


def _action(record: Record, file: Node) -> Node:
    event = record.event
    role = "uco-action:result" if meaning.change(record) == "create" else "uco-action:object"
    at = {"@type": "xsd:dateTime", "@value": event["ts"]}
    return {
        "@id": _id(event["event_id"]),
        "@type": "case-investigation:InvestigativeAction",
        "uco-core:name": record.type,
        "uco-core:description": meaning.sentence(record),
        "uco-action:startTime": at,
        "uco-action:endTime": at,
        "uco-action:performer": _performer(record),
        "uco-action:instrument": {"@id": _id("tool")},
        role: [_observable(record, file)],
        "uco-core:externalReference": [
            _reference(record, "event id", event["event_id"]),
            _reference(record, "leaf hash", record.leaf),
        ],
    }


def _performer(record: Record) -> Node:
    actor = record.event["actor"]
    return {
        "@id": _id(f"{actor['kind']}:{actor['id']}"),
        "@type": "uco-identity:Identity",
        "uco-core:name": record.actor_name,
    }


def _observable(record: Record, file: Node) -> Node:
    """Return the bytes as this event tells of them: the same nodes in all events of one piece of evidence."""
    uid = (record.event["entity"] or {"id": record.event["event_id"]})["id"]
    content: Node = {"@id": _id(uid, "content"), "@type": "uco-observable:ContentDataFacet"}
    facet: Node = {"@id": _id(uid, "file"), "@type": "uco-observable:FileFacet"}
    facet["uco-observable:fileName"] = file["name"]
    if "size" in file:
        size = {"@type": "xsd:integer", "@value": str(file["size"])}
        content["uco-observable:sizeInBytes"] = facet["uco-observable:sizeInBytes"] = size
    if "media_type" in file:
        content["uco-observable:mimeType"] = file["media_type"]
    if "sha256" in file:
        content["uco-observable:hash"] = {
            "@id": _id(uid, "hash"),
            "@type": "uco-types:Hash",
            "uco-types:hashMethod": "SHA256",
            "uco-types:hashValue": {"@type": "xsd:hexBinary", "@value": file["sha256"].upper()},
        }
    return {
        "@id": _id(uid, "evidence"),
        "@type": "uco-observable:ObservableObject",
        "uco-core:hasFacet": [content, facet],
    }


def _reference(record: Record, what: str, value: str) -> Node:
    return {
        "@id": _id(record.event["event_id"], what),
        "@type": "uco-core:ExternalReference",
        "uco-core:definingContext": f"{PRODUCT} audit event, {what}",
        "uco-core:externalIdentifier": value,
    }


def _investigation(record: Record, action: str) -> list[Node]:
    """Return the case with this action in it: the same node each time, and each time with one more thing in it."""
    kind, _, case = record.event["stream"].partition("/")
    if kind != "case":
        return []
    made = {"@id": _id(case, "case"), "@type": "case-investigation:Investigation"}
    return [made | {"uco-core:name": record.stream_name, "uco-core:object": [{"@id": action}]}]


def _id(*parts: str) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, 'casewright:' + '/'.join(parts))}"


FORMAT: Final = Format(
    name="case-uco", suffix=".jsonld", line=_line, begin=_begin, end=lambda: "]}\n", lines_stand_alone=False
)
