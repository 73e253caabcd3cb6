"""`casewright audit verify`: check a bundle, or this installation."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.call import Call, Here
from console.errors import ConsoleError
from console.numbers import Processes, Seconds
from console.output import AsJson


@Parameter(name="*")
@dataclass(frozen=True)
class Inside:
    """What `verify` is to look at in this installation, instead of in a bundle."""

    state: Annotated[
        bool, Parameter(negative=(), help="Compare this installation's tables and evidence with its events.")
    ] = False
    log: Annotated[
        bool, Parameter(negative=(), help="Look through this installation's log: every event, stream and checkpoint.")
    ] = False
    prefect: Annotated[
        bool, Parameter(negative=(), help="Compare the states of runs that Prefect knows with those on record.")
    ] = False
    case: Annotated[str | None, Parameter(help="With --prefect: only this case, by its number.")] = None
    under_way: Annotated[
        Seconds,
        Parameter(help="With --prefect: states younger than so many seconds are no gap yet.", show_default=True),
    ] = 120
    as_json: AsJson = False


@Parameter(name="*")
@dataclass(frozen=True)
class Demanded:
    """What `verify` is to demand of a bundle, beside the log's signature."""

    checkpoint: Annotated[Path | None, Parameter(help="A checkpoint that you saved before.")] = None
    witness: Annotated[
        list[Path] | None, Parameter(negative="", help="Public key of a witness that must have confirmed it.")
    ] = None
    max_age: Annotated[str | None, Parameter(help="How old the newest checkpoint may be: 30s, 10m, 6h, 1d.")] = None
    sealed: Annotated[bool, Parameter(negative=(), help="Refuse events that are not in the tree yet.")] = False
    tsa_ca: Annotated[
        Path | None, Parameter(help="Certificates (PEM) of the authority that must have stamped it; uses openssl.")
    ] = None
    processes: Annotated[
        Processes | None, Parameter(help="How many read events; without it, all cores for a great log.")
    ] = None

    def words(self) -> Iterator[str]:
        """Return it as the verifier's own command line has it."""
        named = {"checkpoint": self.checkpoint, "max-age": self.max_age, "tsa-ca": self.tsa_ca}
        for name, value in {**named, "processes": self.processes}.items():
            if value is not None:
                yield from (f"--{name}", str(value))
        for one in self.witness or []:
            yield from ("--witness", str(one))
        if self.sealed:
            yield "--sealed"


async def verify(
    bundle: Path | None = None,
    *,
    inside: Inside | None = None,
    demanded: Demanded | None = None,
    key: Annotated[Path | None, Parameter(help="The log's public key; default: that of this installation.")] = None,
    call: Here,
) -> int:
    """Verify a bundle, step by step, as the verify.py in it does; or, with --state, --log, --prefect, the installation.

    --prefect asks Prefect for the states of all runs of cases: which are not on record, which are on record and not in
    Prefect, which differ. It changes nothing. --case, --under-way and --json belong to it.

    Exit codes: 0 everything holds, 2 unreadable, 10 altered, 11 missing, 12 truncated, 13 rolled back, 14 forked,
    15 unsealed, 16 stale, 17 unwitnessed, 20 Prefect and the record differ.
    """
    from case_store.audit import keys, verifier

    demanded = demanded or Demanded()
    if inside is not None and (inside.state or inside.log or inside.prefect):
        return await _verify_inside(call, inside, key, demanded.checkpoint)
    if bundle is None:
        raise ConsoleError("there is nothing to verify", next_step="name a bundle, or give --state, --log or --prefect")
    if key is None:
        keys.public_key(call.settings.keys)  # says what to do where there is none
    return verifier.main([str(bundle), "--key", str(key or call.settings.keys / keys.PUBLIC), *demanded.words()])


async def _verify_inside(call: Call, inside: Inside, key: Path | None, checkpoint: Path | None) -> int:
    """Look at what was asked for, one after another; the first fault's exit code ends it."""
    from console import comparing, inspecting

    code = await inspecting.log(call, key, checkpoint) if inside.log else 0
    code = code or (await inspecting.state(call) if inside.state else 0)
    if code or not inside.prefect:
        return code
    return await comparing.prefect(call, inside.case, inside.under_way, as_json=inside.as_json)
