"""`casewright audit verify`: check a bundle, or this installation."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from console.call import Call, Here
from console.errors import ConsoleError
from console.numbers import Processes, Seconds
from console.output import AsJson

_UNDER_WAY: Final = 120


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
        Seconds | None,
        Parameter(
            help=f"With --prefect: states younger than so many seconds are no gap yet; {_UNDER_WAY} if not said."
        ),
    ] = None
    as_json: AsJson = False

    def looks(self) -> list[str]:
        """Return the options given that say where to look."""
        named = {"--state": self.state, "--log": self.log, "--prefect": self.prefect}
        return [name for name, given in named.items() if given]

    def of_prefect(self) -> list[str]:
        """Return the options given that belong to --prefect."""
        named = {"--case": self.case, "--under-way": self.under_way, "--json": self.as_json or None}
        return [name for name, given in named.items() if given is not None]


@Parameter(name="*")
@dataclass(frozen=True)
class Demanded:
    """What `verify` is to demand of a bundle, beside the log's signature."""

    checkpoint: Annotated[Path | None, Parameter(help="A checkpoint that you saved before.")] = None
    witness: Annotated[
        list[Path] | None, Parameter(negative="", help="Public key of a witness that must have confirmed it.")
    ] = None
    max_age: Annotated[
        str | None, Parameter(help="How old the export and its checkpoint may be: 30s, 10m, 6h, 1d.")
    ] = None
    sealed: Annotated[bool, Parameter(negative=(), help="Refuse events that are not in the tree yet.")] = False
    tsa_ca: Annotated[
        Path | None, Parameter(help="Certificates (PEM) of the authority that must have stamped it; uses openssl.")
    ] = None
    processes: Annotated[
        Processes | None, Parameter(help="How many read events; without it, all cores for a great log.")
    ] = None

    def of_a_bundle(self) -> Iterator[str]:
        """Yield the options given that only a bundle can meet."""
        named = {
            "--witness": self.witness,
            "--max-age": self.max_age,
            "--sealed": self.sealed or None,
            "--tsa-ca": self.tsa_ca,
            "--processes": self.processes,
        }
        yield from (name for name, given in named.items() if given is not None)

    def age(self) -> timedelta | None:
        """Return how old it may be.

        Raises:
            ConsoleError: What was given is no time.
        """
        from case_store.audit import verifier

        try:
            return None if self.max_age is None else verifier.age(self.max_age)
        except argparse.ArgumentTypeError as error:
            raise ConsoleError(f"--max-age: {error}", next_step="write it like 30s, 10m, 6h or 1d") from None


async def verify(
    bundle: Path | None = None,
    *,
    inside: Inside = Inside(),
    demanded: Demanded = Demanded(),
    key: Annotated[Path | None, Parameter(help="The log's public key; default: that of this installation.")] = None,
    call: Here,
) -> int:
    """Verify a bundle, step by step, as the verify.py in it does; or, with --state, --log, --prefect, the installation.

    --prefect asks Prefect for the states of all runs of cases: which are not on record, which are on record and not in
    Prefect, which differ. It changes nothing. --case, --under-way and --json belong to it.

    Exit codes: 0 everything holds, 2 unreadable, 10 altered, 11 missing, 12 truncated, 13 rolled back, 14 forked,
    15 unsealed, 16 stale, 17 unwitnessed, 18 older than the saved checkpoint, 20 Prefect and the record differ.
    """
    _refuse_contradictions(bundle, inside, demanded, key)
    if bundle is None:
        return await _verify_inside(call, inside, key, demanded.checkpoint)
    return _verify_bundle(call, bundle, demanded, key)


def _refuse_contradictions(bundle: Path | None, inside: Inside, demanded: Demanded, key: Path | None) -> None:
    """Refuse what would not be looked at: whoever demands it would take silence for a yes."""
    looks = inside.looks()
    if bundle is None and not looks:
        raise ConsoleError("there is nothing to verify", next_step="name a bundle, or give --state, --log or --prefect")
    if bundle is not None and looks:
        step = f"verify the bundle without {' and '.join(looks)}, then the installation without the bundle"
        raise ConsoleError(f"{bundle} is a bundle, and {looks[0]} looks at this installation", next_step=step)
    if (given := inside.of_prefect()) and not inside.prefect:
        raise ConsoleError(f"{given[0]} belongs to --prefect", next_step=f"leave {given[0]} out, or give --prefect")
    if looks and (given := list(demanded.of_a_bundle())):
        raise ConsoleError(f"{given[0]} is demanded of a bundle", next_step=f"leave {given[0]} out, or name a bundle")
    of_log = {"--checkpoint": demanded.checkpoint, "--key": key}
    given = [name for name, value in of_log.items() if value is not None]
    if looks and given and not inside.log:
        raise ConsoleError(f"{given[0]} belongs to --log, or to a bundle", next_step=f"leave {given[0]} out")
    if demanded.processes is not None and demanded.processes < 1:
        raise ConsoleError(f"{demanded.processes} processes read nothing", next_step="give 1 or more, or leave it out")


def _verify_bundle(call: Call, bundle: Path, demanded: Demanded, key: Path | None) -> int:
    from case_store.audit import keys, verifier

    if key is None:
        keys.public_key(call.settings.keys)  # says what to do where there is none
    age = demanded.age()
    try:
        vkey = _text(key or call.settings.keys / keys.PUBLIC)
        saved = _text(demanded.checkpoint) if demanded.checkpoint else None
        witnesses = [_text(one) for one in demanded.witness or []]
    except (OSError, UnicodeDecodeError) as error:
        call.printer.line(f"cannot be verified: {error}")
        return verifier.UNREADABLE
    return verifier.verify(
        bundle,
        vkey,
        saved=saved,
        max_age=age,
        must_be_sealed=demanded.sealed,
        witnesses=witnesses,
        processes=demanded.processes,
        authority=demanded.tsa_ca,
        now=call.now,
        say=call.printer.line,
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


async def _verify_inside(call: Call, inside: Inside, key: Path | None, checkpoint: Path | None) -> int:
    """Look at what was asked for, one after another; the first fault's exit code ends it."""
    from console import comparing, inspecting

    code = await inspecting.log(call, key, checkpoint) if inside.log else 0
    code = code or (await inspecting.state(call) if inside.state else 0)
    if code or not inside.prefect:
        return code
    under_way = _UNDER_WAY if inside.under_way is None else inside.under_way
    return await comparing.prefect(call, inside.case, under_way, as_json=inside.as_json)
