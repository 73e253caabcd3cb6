"""The chain of custody conforms to the CASE and UCO ontologies, by the shapes that their makers ship."""

import json
import subprocess
import sys

import pytest

from case_store.audit.events import Subject
from case_store.audit.formats import FORMATS
from tests.unit.case_store.formats.records import CASE, ROW, SHA256, record, recorded_types, variants

FORM = FORMATS["case-uco"]


@pytest.fixture
def conforms(tmp_path):
    """Ask the validator of CASE, in a process of its own: whether a document conforms, and what it says."""

    def ask(document):
        (tmp_path / "custody.jsonld").write_text(document, "utf-8")
        program = "import sys; from case_utils.case_validate import main; sys.exit(main())"
        words = [sys.executable, "-c", program, str(tmp_path / "custody.jsonld")]
        done = subprocess.run(words, capture_output=True, check=False, text=True)
        return done.returncode == 0, done.stdout + done.stderr

    return ask


def document(records):
    lines = [line + FORM.line_end for one in records if (line := FORM.line(one))]
    return FORM.begin() + "".join(lines) + FORM.end()


def nodes(text, kind):
    return [node for node in json.loads(text)["@graph"] if node["@type"] == kind]


def test_every_event_of_evidence_conforms(conforms):
    types = [one for one in sorted(recorded_types()) if one.startswith("evidence.")] + ["evidence.erased"]
    written = document([one for type_ in types for one in variants(type_)[:3]])
    assert len(nodes(written, "case-investigation:InvestigativeAction")) == 3 * len(types)
    good, said = conforms(written)
    assert good, said


def test_the_validator_bites(conforms):
    changes = {"sha256": (None, SHA256), "size": (None, 3)}
    attached = record("evidence.attached", changes, subject=Subject("evidence", ROW, 1))
    spoilt = document([attached]).replace('"@value":"3"', '"@value":"three"').replace("xsd:dateTime", "xsd:string")
    good, said = conforms(spoilt)
    assert not good
    assert "DatatypeConstraintComponent" in said


def test_an_attachment_makes_the_bytes_and_a_link_uses_them():
    row = Subject("evidence", ROW, 1)
    told = {"sha256": (None, SHA256), "name": (None, "a.txt"), "size": (None, 3)}
    text = document([record("evidence.attached", told, subject=row), record("evidence.linked", {}, subject=row)])
    attached, linked = nodes(text, "case-investigation:InvestigativeAction")
    content, file = attached["uco-action:result"][0]["uco-core:hasFacet"]
    assert content["uco-observable:hash"]["uco-types:hashValue"]["@value"] == SHA256.upper()
    assert content["uco-observable:sizeInBytes"]["@value"] == "3"
    assert file["uco-observable:fileName"] == "a.txt"
    assert linked["uco-action:object"][0]["@id"] == attached["uco-action:result"][0]["@id"]
    assert attached["uco-action:performer"]["uco-core:name"] == "ana"
    first, second = nodes(text, "case-investigation:Investigation")
    assert first["@id"] == second["@id"]
    assert first["uco-core:name"] == "CASE-12"
    assert first["uco-core:object"] == [{"@id": attached["@id"]}]


def test_without_any_evidence_it_is_a_whole_document():
    text = document([record("note.added")])
    assert [node["@type"] for node in json.loads(text)["@graph"]] == ["uco-tool:Tool"]
    assert f"case/{CASE}" not in text
