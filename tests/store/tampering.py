"""What somebody may do to a bundle. Each takes what is in it and gives back what they leave, by chance."""

import json
import random
from collections.abc import Callable
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from case_store.audit.checkpoints import Signer
from case_store.audit.merkle import leaf_hash
from tests.store.bundles import SIGNER, Files, canonical, signed

Change = Callable[[Files, random.Random], Files]


def flip_a_bit(files: Files, chance: random.Random) -> Files:
    lines = list(files.events)
    at = chance.randrange(len(lines))
    changed = bytearray(lines[at])
    while True:
        place, bit = chance.randrange(len(changed)), 1 << chance.randrange(8)
        if changed[place] ^ bit not in b"\r\n":
            changed[place] ^= bit
            break
    lines[at] = bytes(changed)
    return replace(files, events=tuple(lines))


def edit_a_field(files: Files, chance: random.Random) -> Files:
    lines = list(files.events)
    at = chance.randrange(len(lines))
    body = json.loads(lines[at])
    name = chance.choice(["type", "ts", "request_id", "facts", "actor"])
    others = {"actor": {"id": "somebody", "kind": "person"}, "facts": {"other": chance.randrange(10**6)}}
    body[name] = others.get(name, f"other {chance.randrange(10**6)}")
    lines[at] = canonical(body)
    return replace(files, events=tuple(lines))


def delete_one(files: Files, chance: random.Random) -> Files:
    at = chance.randrange(len(files.events))
    return replace(files, events=files.events[:at] + files.events[at + 1 :])


def insert_one(files: Files, chance: random.Random) -> Files:
    at = chance.randrange(len(files.events))
    body = {**json.loads(files.events[at]), "event_id": "forged"}
    return replace(files, events=(*files.events[:at], canonical(body), *files.events[at:]))


def swap_two(files: Files, chance: random.Random) -> Files:
    lines = list(files.events)
    one, two = chance.sample(range(len(lines)), 2)
    lines[one], lines[two] = lines[two], lines[one]
    return replace(files, events=tuple(lines))


def cut_the_tail(files: Files, chance: random.Random) -> Files:
    """Also the proofs, where there are some: nothing is left that has no counterpart."""
    keep = chance.randrange(len(files.events))
    cut = replace(files, events=files.events[:keep])
    if "proofs.jsonl" not in files.rest:
        return cut
    proofs = b"".join(files.rest["proofs.jsonl"].splitlines(keepends=True)[:keep])
    return replace(cut, rest={**files.rest, "proofs.jsonl": proofs})


def rewrite_to_the_end(files: Files, chance: random.Random, before: int | None = None) -> Files:
    """Change an event, and every later one of its stream, so that the chain is whole again."""
    bodies = [json.loads(line) for line in files.events]
    at = chance.randrange(before or len(bodies))
    bodies[at]["facts"] = {"nothing": f"happened {chance.random()}"}
    stream, head = bodies[at]["stream"], None
    lines = []
    for body in bodies:
        if body["stream"] == stream:
            body["prev"] = head
            head = leaf_hash(canonical(body)).hex()
        lines.append(canonical(body))
    return replace(files, events=tuple(lines))


def remove_the_checkpoint(files: Files, _chance: random.Random) -> Files:
    return replace(files, checkpoint=None)


# --- beyond the twelve ------------------------------------------------------------------------------------------------


def sign_with_another_key(files: Files, chance: random.Random) -> Files:
    """Rewrite everything and sign it, with a key of the same name."""
    other = Signer(SIGNER.name, Ed25519PrivateKey.generate())
    return signed(rewrite_to_the_end(files, chance), other)


def change_the_checkpoint(files: Files, chance: random.Random) -> Files:
    lines = (files.checkpoint or "").split("\n")
    lines[1] = str(int(lines[1]) - chance.randrange(1, 5))
    return replace(files, checkpoint="\n".join(lines))


def change_evidence(files: Files, chance: random.Random) -> Files:
    name = _some_evidence(files, chance)
    return replace(files, rest={**files.rest, name: files.rest[name] + b"!"})


def remove_evidence(files: Files, chance: random.Random) -> Files:
    return files.without(_some_evidence(files, chance))


def remove_all_evidence_and_say_so(files: Files, _chance: random.Random) -> Files:
    return files.without("evidence/").claiming(with_evidence=False)


def remove_a_disclosure(files: Files, chance: random.Random) -> Files:
    lines = files.rest["disclosures.jsonl"].splitlines(keepends=True)
    del lines[chance.randrange(len(lines))]
    return replace(files, rest={**files.rest, "disclosures.jsonl": b"".join(lines)})


def remove_all_disclosures_and_say_so(files: Files, _chance: random.Random) -> Files:
    return files.without("disclosures.jsonl").claiming(with_personal=False)


def cut_to_an_earlier_export(files: Files, chance: random.Random) -> Files:
    """Let a bundle pass for that of an export before; that of a case also ends there, under the checkpoint of today."""
    bodies = [json.loads(line) for line in files.events[:-1]]
    at = chance.choice([place for place, body in enumerate(bodies) if body["type"] == "audit.exported"])
    claimed = files.claiming(export=bodies[at]["event_id"], events=at + 1, with_evidence=False, with_personal=False)
    bare = claimed.without("evidence/", "disclosures.jsonl", "report.html")
    if "proofs.jsonl" not in files.rest:
        return bare
    proofs = b"".join(files.rest["proofs.jsonl"].splitlines(keepends=True)[: at + 1])
    return replace(bare, events=files.events[: at + 1], rest={**bare.rest, "proofs.jsonl": proofs})


def _some_evidence(files: Files, chance: random.Random) -> str:
    return chance.choice([name for name in files.rest if name.startswith("evidence/")])
