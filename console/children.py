"""What every process that we start is told, so that it does not matter in which folder the command was called.

Python and Prefect both look for modules in the current directory first, and whoever uses Prefect has a folder `flows`
there. So our processes run in our home, and what the settings name relative to the caller's folder is made absolute.
"""

import os
from collections.abc import Mapping
from pathlib import Path


def environment(base: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return the environment of a process that runs in `home` instead of the caller's folder."""
    made = dict(base) | {"CASEWRIGHT_HOME": str(home.absolute()), "PYTHONSAFEPATH": "1"}
    if sops := base.get("CASEWRIGHT_SOPS"):
        made["CASEWRIGHT_SOPS"] = os.pathsep.join(str(Path(one).absolute()) for one in sops.split(os.pathsep) if one)
    for name in ("CASEWRIGHT_MAIL_FOLDER", "CASEWRIGHT_SMTP_CA_FILE", "CASEWRIGHT_KEY_FOLDER"):
        if path := base.get(name):
            made[name] = str(Path(path).absolute())
    if url := base.get("CASEWRIGHT_DATABASE_URL"):
        made["CASEWRIGHT_DATABASE_URL"] = _absolute(url)
    return made


def _absolute(url: str) -> str:
    """Return a database URL whose SQLite file, if it has one, is named from the root."""
    scheme, slashes, file = url.partition(":///")
    if not scheme.startswith("sqlite") or not slashes or not file or file.startswith(":"):
        return url
    return f"{scheme}:///{Path(file).absolute()}"
