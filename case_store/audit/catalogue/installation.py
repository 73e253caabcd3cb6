"""Events about the record itself, the engine's runs, and what an installation is set up with."""

from __future__ import annotations

from typing import Final

from case_store.audit.catalogue.kinds import (
    COUNT,
    CREATE,
    DELETE,
    FLAG,
    ID,
    LIST,
    MAP,
    OTHER,
    READ,
    SHA256,
    TEXT,
    TIME,
    UPDATE,
    Fact,
    Kind,
    kind,
)

_SINK: Final = Fact("sink", TEXT, "The sink: what goes there, and its name.")
_CURSOR: Final = Fact("cursor", COUNT, "How many events or checkpoints it has got.")
_ADDRESS: Final = (
    _SINK,
    Fact("kind", TEXT, "How it is reached."),
    Fact("fingerprint", TEXT, "The hash of its address, with all that is secret in it."),
    Fact("url", TEXT, "Its address, without what is secret; absent for a mailbox."),
)
_SOP: Final = (
    Fact("key", TEXT, "The key of the SOP."),
    Fact("version", COUNT, "The version that it gives itself."),
    Fact("sha256", SHA256, "The hash of its words."),
)

KINDS: Final[tuple[Kind, ...]] = (
    kind(
        "audit.exported",
        READ,
        "Events were exported.",
        Fact("scope", TEXT, "`all`, or `case`."),
        Fact("case", COUNT, "The number of the case."),
        Fact("since", TIME, "From when on."),
        Fact("until", TIME, "Until when, that moment not included."),
        Fact("actor", TEXT, "Whose events."),
        Fact("format", TEXT, "The format."),
        Fact("left_out", COUNT, "How many streams are not in it, because they are restricted to others."),
        Fact("personal", FLAG, "Whether personal values are in it."),
        Fact("report", SHA256, "The hash of the report in a bundle."),
        Fact("evidence", FLAG, "Whether the files of evidence are in a bundle."),
        Fact("disclosures", COUNT, "How many personal values of events before this one are in a bundle."),
        streams=("case", "system"),
    ),
    kind(
        "audit.export_resumed",
        READ,
        "An export that was interrupted goes on.",
        Fact("export", ID, "The event of the export."),
        streams=("case", "system"),
    ),
    kind(
        "audit.key_changed",
        UPDATE,
        "The log got a new key, which the old one named.",
        Fact("old", TEXT, "The public key before."),
        Fact("new", TEXT, "The public key that signs from now on."),
        Fact("number", COUNT, "How many keys the log has had, this one included."),
    ),
    kind(
        "audit.contradicted",
        OTHER.failed,
        "A witness does not recognise the log: somebody changed it, here or there.",
        Fact("witness", TEXT, "The witness's public key."),
        Fact("what", TEXT, "What it said."),
        Fact("size", COUNT, "How many events the tree had that it was asked about."),
    ),
    kind("audit.sink_added", CREATE, "Events or checkpoints go to a new sink.", *_ADDRESS, _CURSOR),
    kind("audit.sink_changed", UPDATE, "A sink has another address.", *_ADDRESS, _CURSOR),
    kind("audit.sink_removed", DELETE, "Nothing goes to a sink any more.", _SINK, _CURSOR),
    kind(
        "audit.sink_rewound",
        UPDATE,
        "Somebody had a sink get events once more.",
        _SINK,
        Fact("from", COUNT, "How many events it had got."),
        Fact("to", COUNT, "The place from which it gets them again."),
    ),
    kind(
        "config.changed",
        UPDATE,
        "A process started with other settings than the last ones on record.",
        Fact("process", TEXT, "What started: serve, relay or worker."),
        Fact("settings", MAP, "All settings that may be shown, by name; durations in seconds."),
        Fact("hidden", MAP, "Of the others that are set, by name: a salted digest (scrypt, 16 bytes, hexadecimal)."),
        Fact("salt", TEXT, "The salt (hexadecimal), to which the name is added."),
        Fact("changed", LIST, "The names of those that changed; empty the first time."),
        Fact("before", MAP, "What those of them were that may be shown."),
    ),
    kind("sop.added", CREATE, "The installation has an SOP that it did not have.", *_SOP),
    kind(
        "sop.changed",
        UPDATE,
        "An SOP of the installation has other words.",
        *_SOP,
        Fact("before", SHA256, "The hash of its words before."),
    ),
    kind("sop.pinned", CREATE, "The words of an SOP were kept for good, because a case was bound to them.", *_SOP),
    kind("sop.deployed", UPDATE, "The engine was given an SOP in words that it did not have.", *_SOP),
    kind(
        "run.state",
        OTHER,
        "A run of the engine entered a state.",
        Fact("run_kind", TEXT, "What kind of run: flow-run or task-run."),
        Fact("run_id", ID, "The run's id in Prefect."),
        Fact("run_name", TEXT, "Its name there."),
        Fact("state_type", TEXT, "The state, by Prefect's type."),
        Fact("state_name", TEXT, "The state, by its name."),
        Fact("message", TEXT, "What Prefect says about it."),
        streams=("case", "system"),
    ),
)
