"""What somebody may do to a bundle. Each takes what is in it and gives back what they leave, by chance."""

import json
import random
from collections.abc import Callable
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from case_store.audit.checkpoints import Signer
from case_store.audit.merkle import leaf_hash
from tests.store.bundles import SIGNER, Files, canonical, signed

Kind = Callable[[Files, random.Random], Files]


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
    body[name] = (
        {"id": "somebody", "kind": "person"} if name == "actor" else {"other": 1} if name == "facts" else "other"
    )
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
    return replace(files, events=files.events[: -chance.randrange(1, len(files.events))])


def rewrite_to_the_end(files: Files, chance: random.Random) -> Files:
    """Change an event, and every later one of its stream, so that the chain is whole again."""
    bodies = [json.loads(line) for line in files.events]
    at = chance.randrange(len(bodies))
    bodies[at]["facts"] = {"nothing": "happened"}
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


def sign_with_another_key(files: Files, chance: random.Random) -> Files:
    """Rewrite everything and sign it, with a key of the same name."""
    other = Signer(SIGNER.name, Ed25519PrivateKey.generate())
    return signed(rewrite_to_the_end(files, chance), other)


def change_the_checkpoint(files: Files, chance: random.Random) -> Files:
    lines = (files.checkpoint or "").split("\n")
    lines[1] = str(int(lines[1]) - chance.randrange(1, 5))
    return replace(files, checkpoint="\n".join(lines))


def change_evidence(files: Files, chance: random.Random) -> Files:
    name = chance.choice([name for name in files.rest if name.startswith("evidence/")])
    return replace(files, rest={**files.rest, name: files.rest[name] + b"!"})


def remove_evidence(files: Files, chance: random.Random) -> Files:
    name = chance.choice([name for name in files.rest if name.startswith("evidence/")])
    return replace(files, rest={other: content for other, content in files.rest.items() if other != name})


TAMPERING: dict[Kind, set[str]] = {
    flip_a_bit: {"altered", "missing", "truncated"},
    edit_a_field: {"altered"},
    delete_one: {"missing", "truncated"},
    insert_one: {"altered", "missing"},
    swap_two: {"altered", "missing"},
    cut_the_tail: {"truncated"},
    rewrite_to_the_end: {"altered"},
    remove_the_checkpoint: {"missing"},
    sign_with_another_key: {"altered"},
    change_the_checkpoint: {"altered"},
    change_evidence: {"altered"},
    remove_evidence: {"missing"},
}
