"""What may be imported when SOPs are only read: the command line starts in half a second."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
HEAVY = {"cel", "ruamel", "prefect", "sqlalchemy", "asyncio", "difflib"}


def test_importing_the_loader_imports_nothing_heavy():
    code = "import sop.library, sys; print(*{name.partition('.')[0] for name in sys.modules})"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert HEAVY & set(done.stdout.split()) == set()
