"""`casewright worker`, `relay`, `deploy`: hand over to the flows side, which imports Prefect."""

import os
import sys
from typing import Annotated, NoReturn

from cyclopts import Parameter

from console import children
from console.call import Call, Here
from console.home import private

Rest = Annotated[str, Parameter(allow_leading_hyphen=True, help="Passed on as it is.")]


def worker(*options: Rest, call: Here) -> NoReturn:
    """Run the flows of cases, against a Prefect server that runs elsewhere.

    CASEWRIGHT_PREFECT_API_URL says where Prefect is, CASEWRIGHT_DATABASE_URL where the case store is.
    """
    become(call, "worker", *options)


def relay(*options: Rest, call: Here) -> NoReturn:
    """Carry signals to Prefect, Prefect's states to the record, and messages to people."""
    become(call, "relay", *options)


def deploy(*options: Rest, call: Here) -> NoReturn:
    """Register one Prefect deployment for each SOP of the library."""
    become(call, "deploy", *options)


def become(call: Call, part: str, *options: str) -> NoReturn:
    """Replace this process: signals, exit code and memory are then the part's own, and Prefect is not imported here.

    Args:
        call: The call.
        part: What `python -m flows` shall be.
        options: What it is told besides.
    """
    sys.stdout.flush()
    home = private(call.settings.home)
    environment = children.environment(os.environ, home)
    if "prefect_api_url" in call.settings.model_fields_set:  # else PREFECT_API_URL counts, if it is set
        environment["PREFECT_API_URL"] = call.settings.prefect_api_url
    os.chdir(home)
    os.execve(sys.executable, [sys.executable, "-m", "flows", part, *options], environment)  # noqa: S606
