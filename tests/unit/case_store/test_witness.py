"""A witness confirms what only grew, and nothing else, even if the log's own key signed it."""

import random
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from case_store.audit.checkpoints import Checkpoint, Signer, opened, witnessed
from case_store.audit.merkle import leaf_hash, root_of
from case_store.audit.proofs import consistency
from case_store.audit.witness import Refused, Request, Seen, judge
from case_store.audit.witness_memory import Memory, load_or_create_key
from case_store.errors import AuditKeyUnusable, WitnessStateUnusable

SIGNER = Signer("soc.example/audit", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEYS = {SIGNER.name: [SIGNER.verifier()]}
AT = 1_772_000_000


@dataclass(frozen=True)
class Log:
    """A log, by whoever holds its key."""

    leaves: tuple[bytes, ...]
    signer: Signer = field(default=SIGNER, repr=False)

    @classmethod
    def of(cls, size: int) -> "Log":
        return cls(tuple(leaf_hash(b"%d" % number) for number in range(size)))

    def grown(self, count: int, mark: bytes = b"") -> "Log":
        more = (leaf_hash(b"%d%s" % (len(self.leaves) + number, mark)) for number in range(count))
        return replace(self, leaves=(*self.leaves, *more))

    def root(self, size: int) -> bytes:
        return root_of(self.leaves[:size])

    def proof(self, old: int) -> tuple[bytes, ...]:
        spans = consistency(old, len(self.leaves)) if old else []
        return tuple(root_of(self.leaves[span.start : span.end]) for span in spans)

    def note(self) -> str:
        size = len(self.leaves)
        return self.signer.sign_at(Checkpoint(self.signer.name, size, self.root(size)).text(), AT)

    def request(self, old: int) -> Request:
        return Request(old, self.proof(old), self.note())


def verdict(request: Request, seen: Seen | None = None) -> int:
    try:
        judge(Request.parse(request.text().encode()), KEYS, {SIGNER.name: seen} if seen else {})
    except Refused as refused:
        return refused.status
    return 200


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path, load_or_create_key(tmp_path))


class TestAnHonestLog:
    def test_of_some_hundred_checkpoints_is_confirmed_each_time(self, memory: Memory):
        chance, log, old = random.Random(3), Log.of(0), 0
        for _ in range(300):
            log = log.grown(chance.choice((0, 1, 1, 2, 3)))
            checkpoint, line = memory.confirm(log.request(old), KEYS, AT)
            assert (checkpoint.size, checkpoint.root) == (len(log.leaves), log.root(len(log.leaves)))
            key = load_or_create_key(memory._folder).verifier().as_witness()
            assert witnessed(log.note() + line, key) == AT
            old = checkpoint.size
        assert memory.seen == {SIGNER.name: Seen(old, log.root(old))}

    def test_may_ask_again_for_what_was_confirmed(self):
        log = Log.of(7)
        assert verdict(log.request(7), Seen(7, log.root(7))) == 200

    def test_goes_on_under_a_new_key_that_the_witness_was_given(self):
        new = Signer(SIGNER.name, Ed25519PrivateKey.generate())
        log = replace(Log.of(9), signer=new)
        seen = {SIGNER.name: Seen(4, log.root(4))}
        with pytest.raises(Refused) as refused:
            judge(log.request(4), KEYS, seen)
        assert refused.value.status == 403
        both = {SIGNER.name: [SIGNER.verifier(), new.verifier()]}
        assert judge(log.request(4), both, seen).size == 9


# --- what whoever stole the log's key may show to a witness that has seen `size` events -------------------------------

Attack = Callable[[Log, random.Random], Log]


def edit_the_past(log: Log, chance: random.Random) -> Log:
    at = chance.randrange(len(log.leaves))
    return replace(log, leaves=(*log.leaves[:at], leaf_hash(b"edited"), *log.leaves[at + 1 :])).grown(
        chance.randrange(9)
    )


def truncate(log: Log, chance: random.Random) -> Log:
    return replace(log, leaves=log.leaves[: -chance.randrange(1, len(log.leaves) + 1)])


def drop_the_tail_and_go_on(log: Log, chance: random.Random) -> Log:
    cut = truncate(log, chance)
    return cut.grown(len(log.leaves) - len(cut.leaves) + chance.randrange(9), b"!")


def splice(log: Log, chance: random.Random) -> Log:
    at = chance.randrange(len(log.leaves))
    return replace(log, leaves=(*log.leaves[:at], leaf_hash(b"put in"), *log.leaves[at:])).grown(chance.randrange(9))


def leave_one_out(log: Log, chance: random.Random) -> Log:
    at = chance.randrange(len(log.leaves))
    return replace(log, leaves=(*log.leaves[:at], *log.leaves[at + 1 :])).grown(1 + chance.randrange(9), b"-")


def swap(log: Log, chance: random.Random) -> Log:
    leaves = list(log.leaves)
    one, two = chance.sample(range(len(leaves)), 2)
    leaves[one], leaves[two] = leaves[two], leaves[one]
    return replace(log, leaves=tuple(leaves)).grown(chance.randrange(9))


def show_a_fork(log: Log, chance: random.Random) -> Log:
    """A log that was another one from some point on, and is as long or longer."""
    at = chance.randrange(len(log.leaves))
    return replace(log, leaves=log.leaves[:at]).grown(len(log.leaves) - at + chance.randrange(9), b"?")


ATTACKS = [edit_the_past, truncate, drop_the_tail_and_go_on, splice, leave_one_out, swap, show_a_fork]


@pytest.mark.parametrize("count", [80, pytest.param(1000, marks=pytest.mark.slow)], ids=["short", "long"])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_what_the_logs_own_key_signed_over_another_past_is_refused(attack: Attack, count: int):
    """Whatever is said of the old size, and whatever proof is given: of the true log, of the forged one, none, any."""
    for seed in range(count):
        chance = random.Random(seed)
        honest = Log.of(chance.randrange(2, 60))
        size = len(honest.leaves)
        seen, forged = Seen(size, honest.root(size)), attack(honest, chance)
        note, long = forged.note(), len(forged.leaves)
        proofs = {
            (),
            honest.grown(max(0, long - size)).proof(size),
            *(forged.proof(old) for old in {size, chance.randint(1, max(long, 1)), long} if 0 < old <= long),
            tuple(chance.randbytes(32) for _ in range(chance.randrange(1, 8))),
            (seen.root, *forged.proof(size if 0 < size <= long else 0)),
        }
        for proof in proofs:
            for old in {0, size, long, chance.randint(0, size)}:
                assert verdict(Request(old, proof, note), seen) in {400, 409, 422}, f"seed {seed}, old {old}"


class TestARequest:
    LOG = Log.of(5)

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            (lambda text: text.replace("old 3", "old 03"), 400),
            (lambda text: text.replace("old 3", "old -3"), 400),
            (lambda text: text.replace("old 3", "old"), 400),
            (lambda text: text.replace("old 3", "new 3"), 400),
            (lambda text: text.replace("old 3", "old 9"), 400),
            (lambda text: text.replace("old 3", "old 2"), 409),
            (lambda text: text.replace("\n\n", "\n", 1), 400),
            (lambda text: text.replace("old 3\n", "old 3\nnot base64!\n"), 400),
            (lambda text: text.replace("old 3\n", f"old 3\n{b64encode(bytes(31)).decode()}\n"), 400),
            (lambda text: text.replace("old 3\n", "old 3\n" + f"{b64encode(bytes(32)).decode()}\n" * 64), 400),
            (lambda text: text.replace("old 3\n", f"old 3\n{b64encode(bytes(32)).decode()}\n"), 422),
            (lambda text: text.replace("soc.example/audit", "other.example/audit"), 404),
            (lambda text: text.replace("\n5\n", "\n6\n"), 403),
            (lambda text: text.replace("\n5\n", "\nfive\n"), 400),
            (lambda text: text.rpartition("\n\n")[0] + "\n\n", 403),
            (lambda text: "", 400),
        ],
        ids=range(16),
    )
    def test_that_is_wrong_gets_the_status_that_the_protocol_says(self, change: Callable[[str], str], status: int):
        text = self.LOG.request(3).text()
        assert change(text) != text
        with pytest.raises(Refused) as refused:
            judge(Request.parse(change(text).encode()), KEYS, {SIGNER.name: Seen(3, self.LOG.root(3))})
        assert refused.value.status == status
        assert (refused.value.size == 3) is (status == 409)

    def test_that_is_right_is_not_refused(self):
        text = self.LOG.request(3).text()
        assert judge(Request.parse(text.encode()), KEYS, {SIGNER.name: Seen(3, self.LOG.root(3))}).size == 5

    def test_that_is_not_text_is_refused(self):
        with pytest.raises(Refused, match="UTF-8"):
            Request.parse(b"old 0\n\n\xff\n")

    def test_about_another_tree_of_the_same_size_is_a_conflict(self):
        seen = Seen(5, Log.of(4).grown(1, b"?").root(5))
        with pytest.raises(Refused) as refused:
            judge(self.LOG.request(5), KEYS, {SIGNER.name: seen})
        assert (refused.value.status, refused.value.size) == (409, 5)

    @pytest.mark.parametrize("size", [0, 5])
    def test_with_a_proof_where_none_is_needed_is_unproven(self, size: int):
        seen = Seen(size, self.LOG.root(size))
        assert verdict(Request(size, (bytes(32),), self.LOG.note()), seen) == 422


class TestTheMemory:
    def test_outlives_the_process(self, memory: Memory, tmp_path: Path):
        memory.confirm(Log.of(4).request(0), KEYS, AT)
        again = Memory(tmp_path, load_or_create_key(tmp_path))
        assert again.seen == memory.seen == {SIGNER.name: Seen(4, Log.of(4).root(4))}
        with pytest.raises(Refused):
            again.confirm(Log.of(3).request(0), KEYS, AT)

    def test_is_a_checkpoint_that_an_auditor_can_use(self, memory: Memory, tmp_path: Path):
        memory.confirm(Log.of(4).request(0), KEYS, AT)
        (file,) = tmp_path.glob("*.checkpoint")
        assert Checkpoint.parse(opened(file.read_text(), SIGNER.verifier())).size == 4

    def test_is_not_spoiled_by_lines_that_a_stranger_put_into_the_note(self, memory: Memory, tmp_path: Path):
        signer = load_or_create_key(tmp_path)
        key_id = signer.verifier().as_witness().key_id
        lie = f"\N{EM DASH} {signer.name} {b64encode(key_id + bytes(72)).decode()}\n"
        request = Log.of(4).request(0)
        memory.confirm(replace(request, note=request.note + lie), KEYS, AT)
        assert Memory(tmp_path, signer).seen[SIGNER.name].size == 4

    @pytest.mark.parametrize("content", ["", "nonsense", "soc.example/audit\n1\nAAAA\n\n"])
    def test_that_is_damaged_is_not_taken_for_none(self, memory: Memory, tmp_path: Path, content: str):
        memory.confirm(Log.of(4).request(0), KEYS, AT)
        (file,) = tmp_path.glob("*.checkpoint")
        file.write_text(content)
        with pytest.raises(WitnessStateUnusable, match="checkpoint"):
            Memory(tmp_path, load_or_create_key(tmp_path))

    def test_that_cannot_be_written_confirms_nothing(self, memory: Memory, tmp_path: Path):
        memory._folder = tmp_path / "gone"
        with pytest.raises(WitnessStateUnusable):
            memory.confirm(Log.of(4).request(0), KEYS, AT)
        assert memory.seen == {}

    def test_keeps_logs_apart(self, memory: Memory, tmp_path: Path):
        other = Signer("soc.example/audit2", Ed25519PrivateKey.generate())
        keys = {**KEYS, other.name: [other.verifier()]}
        memory.confirm(Log.of(4).request(0), keys, AT)
        memory.confirm(replace(Log.of(2), signer=other).request(0), keys, AT)
        sizes = {name: one.size for name, one in Memory(tmp_path, load_or_create_key(tmp_path)).seen.items()}
        assert sizes == {SIGNER.name: 4, other.name: 2}


class TestTheKeyOfAWitness:
    def test_keeps_the_name_it_was_given(self, tmp_path: Path):
        first = load_or_create_key(tmp_path, "witness.example/w1")
        assert first.name == load_or_create_key(tmp_path).name == "witness.example/w1"
        assert (tmp_path / "witness.vkey").read_text().startswith("witness.example/w1+")
        assert (tmp_path / "witness.pem").stat().st_mode & 0o777 == 0o600
        with pytest.raises(AuditKeyUnusable, match="is called"):
            load_or_create_key(tmp_path, "witness.example/w2")

    @pytest.mark.parametrize("name", ["two words", "a+b", "", "line\nbreak", "é"])
    def test_refuses_a_name_that_would_break_the_format(self, tmp_path: Path, name: str):
        with pytest.raises(AuditKeyUnusable, match="no name"):
            load_or_create_key(tmp_path, name)
        assert not list(tmp_path.iterdir())
