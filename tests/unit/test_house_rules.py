"""House rules that no linter knows, held by reading the syntax tree of every product file.

Each rule is a function from a parsed file to what it finds wrong. A rule is trusted because `test_rule_bites` shows it
a file that breaks it.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("sop", "case_store", "notifiers", "flows", "console")
STORE = "case_store/store.py"

# Where the time may be asked for: the edges, from where it is handed down as `at=`. Each with its reason.
CLOCK_EDGES: dict[str, str] = {
    "case_store/audit/verifier.py": "a program of its own, which strangers start",
    "console/call.py": "a command is given now",
    "flows/clock.py": "a flow run and the relay act now",
}

CLOCKS = {
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "pendulum.now",
    "sqlalchemy.func.current_timestamp",
    "sqlalchemy.func.now",
    "time.time",
    "time.time_ns",
}

# Where SQL may be put together from parts: only names out of our own table definitions, never a value.
SQL_BUILDERS: dict[str, str] = {}

SQL = re.compile(
    r"^\s*(select\s.*\sfrom|insert\s+into|update\s+\S+\s+set|delete\s+from|replace\s+into|truncate|pragma"
    r"|(create|alter|drop)\s+(table|index|trigger|function|database|role|or\s+replace))\b",
    re.IGNORECASE | re.DOTALL,
)
SQL_CALLS = {"text", "execute", "exec_driver_sql", "executescript", "executemany"}


@dataclass(frozen=True)
class File:
    """A parsed Python file; `path` is relative to the repository, with forward slashes."""

    path: str
    tree: ast.Module

    @classmethod
    def read(cls, path: Path) -> "File":
        return cls(path.relative_to(ROOT).as_posix(), ast.parse(path.read_bytes()))

    def imported(self) -> dict[str, str]:
        """Map each name that an import binds in this file to what it stands for."""
        names: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names |= {
                    a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0] for a in node.names
                }
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        return names


Rule = Callable[[File], Iterator[int]]


def dotted(node: ast.expr) -> str:
    """Spell `a.b.c` out of a chain of attributes; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := dotted(node.value)):
        return f"{left}.{node.attr}"
    return ""


def called(node: ast.AST) -> str:
    """Name the function or method that a call calls."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else dotted(node.func)


def commits(file: File) -> Iterator[int]:
    for node in ast.walk(file.tree):
        if called(node) == "commit" or (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.fullmatch(r"(?i)\s*commit\s*;?\s*", node.value)
        ):
            yield node.lineno


def commits_outside_the_store(file: File) -> Iterator[int]:
    """Only the store commits: a change, its audit event and its promises are one transaction."""
    if file.path != STORE:
        yield from commits(file)


def clock_below_the_edge(file: File) -> Iterator[int]:
    """Nothing below the edge asks for the time: `at=` comes in as an argument."""
    if file.path in CLOCK_EDGES:
        return
    imported = file.imported()
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Name | ast.Attribute):
            first, _, rest = dotted(node).partition(".")
            name = ".".join(filter(None, (imported.get(first, first), rest)))
            if name in CLOCKS:
                yield node.lineno


def print_outside_the_console(file: File) -> Iterator[int]:
    """Only the command line prints; the rest logs or raises."""
    if not file.path.startswith("console/"):
        yield from (
            node.lineno for node in ast.walk(file.tree) if isinstance(node, ast.Call) and dotted(node.func) == "print"
        )


def bare_except(file: File) -> Iterator[int]:
    """An `except` names what it expects: a bare one swallows Ctrl-C and cancellation too."""
    yield from (
        node.lineno for node in ast.walk(file.tree) if isinstance(node, ast.ExceptHandler) and node.type is None
    )


def assert_in_product(file: File) -> Iterator[int]:
    """The product refuses with an error that says the next step; `python -O` drops an assert."""
    yield from (node.lineno for node in ast.walk(file.tree) if isinstance(node, ast.Assert))


def sql_out_of_strings(file: File) -> Iterator[int]:
    """SQL is not put together from strings: values are bound parameters."""
    if file.path in SQL_BUILDERS:
        return
    for node in ast.walk(file.tree):
        handed_over = node.args[:1] if isinstance(node, ast.Call) and called(node) in SQL_CALLS else []
        yield from (argument.lineno for argument in handed_over if is_put_together(argument))
        if isinstance(node, ast.expr) and is_put_together(node) and SQL.match(first_words(node)):
            yield node.lineno


def is_put_together(node: ast.expr) -> bool:
    """Tell whether a string is made at run time, by f-string, `%`, `+` or `.format`."""
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        return is_text(node.left) or is_text(node.right)
    return (
        isinstance(node, ast.Call)
        and called(node) == "format"
        and isinstance(node.func, ast.Attribute)
        and is_text(node.func.value)
    )


def is_text(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.JoinedStr)
        or (isinstance(node, ast.Constant) and isinstance(node.value, str))
        or is_put_together(node)
    )


def first_words(node: ast.expr) -> str:
    """Read the fixed text of a put-together string, with `x` for each value."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
    if isinstance(node, ast.BinOp):
        return first_words(node.left) + first_words(node.right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return first_words(node.func.value)
    return str(node.value) if isinstance(node, ast.Constant) else "x"


RULES: list[Rule] = [
    commits_outside_the_store,
    clock_below_the_edge,
    print_outside_the_console,
    bare_except,
    assert_in_product,
    sql_out_of_strings,
]


def skipped_test(file: File) -> Iterator[int]:
    """A test runs or is not there; only `missing` in tests/conftest.py may skip, and not with CI=true."""
    if file.path == "tests/conftest.py":
        return
    for node in ast.walk(file.tree):
        if (
            isinstance(node, ast.Attribute)
            and dotted(node).startswith("pytest.")
            and re.search(r"\.(skip|skipif|xfail)$", dotted(node))
        ):
            yield node.lineno


def sleeping_test(file: File) -> Iterator[int]:
    """A test waits for the event, not for the clock."""
    if file.path in LOOKS_AGAIN:
        return
    imported = file.imported()
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call):
            first, _, rest = dotted(node.func).partition(".")
            if ".".join(filter(None, (imported.get(first, first), rest))) == "time.sleep":
                yield node.lineno


# Where a test may sleep: between two looks at what tells nobody when it happens.
LOOKS_AGAIN = {"tests/site.py": "a Prefect server that starts answers when it is asked, and not before"}

TEST_RULES: list[Rule] = [skipped_test, sleeping_test]


@pytest.fixture(scope="module")
def product() -> list[File]:
    return [File.read(path) for package in PRODUCT for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.fixture(scope="module")
def tests() -> list[File]:
    return [File.read(path) for path in sorted((ROOT / "tests").rglob("*.py"))]


def findings(rule: Rule, files: list[File]) -> list[str]:
    return [f"{file.path}:{line}: {rule.__doc__}" for file in files for line in sorted(set(rule(file)))]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_product_keeps(rule: Rule, product: list[File]):
    assert findings(rule, product) == []


@pytest.mark.parametrize("rule", TEST_RULES, ids=lambda rule: rule.__name__)
def test_tests_keep(rule: Rule, tests: list[File]):
    assert findings(rule, tests) == []


def test_commit_appears_once_in_the_code_base(product: list[File]):
    assert [file.path for file in product for _ in commits(file)] == [STORE]


def test_every_exception_is_still_needed(product: list[File], tests: list[File]):
    """An exception whose file is gone, or no longer breaks the rule, is taken off the list."""
    asking = {file.path for file in product for _ in clock_below_the_edge(File("elsewhere.py", file.tree))}
    building = {file.path for file in product for _ in sql_out_of_strings(File("elsewhere.py", file.tree))}
    sleeping = {file.path for file in tests for _ in sleeping_test(File("elsewhere.py", file.tree))}
    assert set(CLOCK_EDGES) <= asking
    assert set(LOOKS_AGAIN) <= sleeping
    assert set(SQL_BUILDERS) <= building


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (commits_outside_the_store, "async def f(session): await session.commit()"),
        (commits_outside_the_store, "connection.exec_driver_sql('COMMIT')"),
        (clock_below_the_edge, "import datetime\ndatetime.datetime.now(datetime.UTC)"),
        (clock_below_the_edge, "import datetime as dt\nx = dt.datetime.utcnow"),
        (clock_below_the_edge, "from datetime import datetime as D\nD.now()"),
        (clock_below_the_edge, "from datetime import date\ndate.today()"),
        (clock_below_the_edge, "import time\ntime.time()"),
        (clock_below_the_edge, "from time import time\ntime()"),
        (clock_below_the_edge, "from sqlalchemy import func\nfunc.now()"),
        (clock_below_the_edge, "import sqlalchemy as sa\nsa.func.now()"),
        (print_outside_the_console, "print('here')"),
        (bare_except, "try:\n    pass\nexcept:\n    pass"),
        (assert_in_product, "assert x"),
        (sql_out_of_strings, "session.execute(f'{x}')"),
        (sql_out_of_strings, "text('select 1 from t where a = ' + a)"),
        (sql_out_of_strings, "x = f'DELETE FROM {table}'"),
        (sql_out_of_strings, "x = 'UPDATE %s SET a = 1' % table"),
        (sql_out_of_strings, "x = 'insert into {} values (1)'.format(table)"),
        (sql_out_of_strings, "x = f'''\n  CREATE TRIGGER {name} BEFORE UPDATE ON cases'''"),
        (skipped_test, "import pytest\n@pytest.mark.skip\ndef test_x(): ..."),
        (skipped_test, "import pytest\ndef test_x(): pytest.skip('no')"),
        (sleeping_test, "from time import sleep\nsleep(1)"),
    ],
)
def test_rule_bites(rule: Rule, source: str):
    assert list(rule(File("flows/some.py", ast.parse(source))))


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (commits_outside_the_store, STORE, "async def f(session): await session.commit()"),
        (commits_outside_the_store, "sop/some.py", "commit = 'commit the change'"),
        (clock_below_the_edge, "sop/some.py", "import time\ntime.monotonic()"),
        (clock_below_the_edge, "sop/some.py", "def f(time): return time.time_limit"),
        (print_outside_the_console, "console/some.py", "print('here')"),
        (bare_except, "sop/some.py", "try:\n    pass\nexcept ValueError:\n    pass"),
        (sql_out_of_strings, "sop/some.py", "x = f'Update the {thing} set before noon'"),
        (sql_out_of_strings, "sop/some.py", "session.execute(text('SELECT 1 FROM t WHERE a = :a'), {'a': a})"),
        (sql_out_of_strings, "sop/some.py", "x = 'SELECT a FROM t ' 'WHERE b = 1'"),
    ],
)
def test_rule_leaves_alone(rule: Rule, path: str, source: str):
    assert list(rule(File(path, ast.parse(source)))) == []
