"""`casewright audit key`: the key that signs for the record, over time."""

from typing import Annotated

from cyclopts import App, Parameter

from console.call import Here
from console.output import AsJson, Column
from console.text import moment

app = App(name="key", help="Print the public key of the record, or change the key.")


@app.default
def show(*, call: Here) -> None:
    """Print the public key of the record: who has it can verify every bundle of it."""
    from case_store.audit import keys

    call.printer.line(str(keys.public_key(call.settings.keys)))


@app.command
async def rotate(
    *,
    destroy_old: Annotated[
        bool, Parameter(negative=(), help="Do not keep the old private key. Nothing needs it any more.")
    ] = False,
    call: Here,
) -> None:
    """Give the record a new key, which the old one names.

    From then on only the new key signs. Who holds the old public key can still verify every bundle: the statement is in
    it, and the verifier follows it. Run it where the key folder is. Relays on other machines stop sealing until the
    folder is copied there; a witness confirms nothing until it is given the new public key, as another --log-key.
    The old private key is kept in the folder as audit-log.ID.pem. If the command is interrupted, run it again.

    If the old key was stolen, the thief can name a key as well: give everybody the new public key on another way.
    """
    from case_store.actor import Actor
    from case_store.audit import keys, rotation

    folder = call.settings.keys
    async with call.store() as store:
        async with store.reading() as tx:
            by = Actor.person(await call.person(tx))
        done = await rotation.rotate(
            store, folder, by=by, at=call.now, destroy_old=destroy_old, request_id=call.request_id
        )
    begun = "an earlier change was finished; the record is" if done.resumed else "the record is"
    call.printer.say(f"{begun} signed from now on by {done.new}")
    kept = f"kept as {done.kept}" if done.kept else "not kept"
    call.printer.say(f"the old private key, id {done.old.key_id.hex()}, is {kept}")
    call.printer.say(f"next: copy {folder} to every machine with a relay, and give witnesses {folder / keys.PUBLIC}")


@app.command
async def history(
    *,
    statements: Annotated[
        bool, Parameter(negative=(), help="Print the signed statements alone, as bundles have them in keys.txt.")
    ] = False,
    as_json: AsJson = False,
    call: Here,
) -> None:
    """List the public keys of the record, the first one first; the last one signs."""
    from case_store.audit import log_keys, succession
    from case_store.models import AuditKey

    async with call.reading() as tx:
        rows = await log_keys.history(tx)
    if statements:
        call.printer.out.file.write(succession.joined(row.statement for row in rows if row.statement))
        return
    columns = [
        Column[AuditKey]("Number", lambda row: row.number, right=True, whole=True),
        Column[AuditKey]("Since", lambda row: moment(row.at), whole=True),
        Column[AuditKey]("Public key", lambda row: row.vkey),
    ]
    if as_json:
        found = [{"number": row.number, "since": row.at, "key": row.vkey, "statement": row.statement} for row in rows]
        call.printer.json({"keys": found})
        return
    call.printer.listing("keys", rows, columns, as_json=False, empty="nothing is signed yet")
