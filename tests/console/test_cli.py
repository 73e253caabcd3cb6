"""The frame of the command line: exit codes, help, errors, who acts."""

import pytest

from case_store import enforcement
from console import cli
from console.errors import ConsoleError

COMMANDS = [
    "up", "demo", "worker", "relay", "deploy",
    "sop list", "sop show", "sop check", "sop schema",
    "case open", "case list", "case show", "case timeline", "case note", "case attach", "case close", "case cancel",
    "case reopen",
    "task list", "task show", "task complete", "task approve", "task reject", "task skip", "task retry",
    "task reassign",
    "alert send", "alert list", "alert show",
    "audit tail", "audit export", "audit status", "audit key", "audit key rotate", "audit key history",
    "witness",
    "people import", "people list",
    "db upgrade", "db check",
]  # fmt: skip


def test_no_words_is_a_call_for_help(casewright):
    said = casewright()
    assert said.code == 0
    assert "casewright demo" in said.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_everything_it_takes(casewright, command):
    said = casewright(*command.split(), "--help")
    assert said.code == 0
    usage, _, rest = said.out.partition("\n\n")
    assert usage.strip().startswith(f"Usage: casewright {command}")
    assert rest.strip()[0].isupper()
    rows = [line.strip("│ ") for line in rest.splitlines() if line.startswith("│")]
    bare = [row for row in rows if row.startswith(("--", "*")) and len(row.split("  ", 1)) == 1]
    assert bare == [], "an option without a word of help"
    assert "CALL" not in said.out, "the call is given by us, not by the person"


def test_the_help_of_the_whole_lists_every_command(casewright):
    said = casewright("--help")
    assert {command.split()[0] for command in COMMANDS} <= set(said.out.split())


def test_version(casewright):
    said = casewright("--version")
    assert (said.code, said.err) == (0, "")
    assert said.out.strip()


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["case", "nonsense"],
        ["alert", "send", "--nonsense"],
        ["alert", "send", "x.json", "--nonsense"],
        ["case", "show"],
        ["case", "list", "--state", "sleeping"],
        ["case", "open", "--title", "no sop"],
        ["task", "complete", "1/confirm", "--unknown"],
        ["task", "skip", "1/confirm"],
        ["alert", "send", "x.json", "--shape", "xml"],
        ["up", "--port", "many"],
    ],
)  # fmt: skip
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(casewright, words):
    said = casewright(*words)
    assert said.code == 2
    assert said.out == ""
    assert "Error" in said.err


@pytest.mark.parametrize(
    ("words", "bounds"),
    [
        (["audit", "tail", "-n", "-3"], "from 1 to 100,000"),
        (["audit", "tail", "-n", "0"], "from 1 to 100,000"),
        (["audit", "tail", "-n", "99999999999999999999"], "from 1 to 100,000"),
        (["audit", "replay", "--case", "1", "--seq", "-1"], "from 1 to 1,000,000,000,000"),
        (["audit", "replay", "--case", "1", "--seq", "99999999999999999999"], "from 1 to 1,000,000,000,000"),
        (["audit", "sinks", "rewind", "events/x", "--to", "-1"], "from 0 to 1,000,000,000,000"),
        (["audit", "verify", "--prefect", "--under-way", "-1"], "from 0 to 1,000,000,000"),
        (["audit", "verify", "x.zip", "--processes", "0"], "from 1 to 1,024"),
        (["web", "--port", "70000"], "from 0 to 65,535"),
        (["witness", "--log-key", "x", "--port", "-1"], "from 0 to 65,535"),
        (["up", "--port", "70000"], "from 0 to 65,535"),
    ],
    ids=lambda one: "-".join(one) if isinstance(one, list) else "",
)
def test_a_number_that_makes_no_sense_is_refused_with_those_that_do(casewright, words, bounds):
    said = casewright(*words)
    assert (said.code, said.out) == (2, "")
    assert f"Give a whole number {bounds}." in " ".join(said.err.replace("│", "").split())


def test_a_refusal_ends_with_1_and_says_the_reason_and_the_next_step(casewright):
    said = casewright("case", "list")
    assert said.code == 1
    assert said.out == ""
    assert said.err.startswith("refused: there is no database at")
    assert "next: run: casewright db upgrade" in said.err
    assert "Traceback" not in said.err


def test_debug_shows_where_it_was_refused(casewright):
    said = casewright("case", "list", "--debug")
    assert said.code == 1
    assert "Traceback" in said.err
    assert "SchemaNotCurrent" in said.err


def test_an_unforeseen_error_ends_with_1_and_without_traceback(casewright, monkeypatch):
    async def broken(url):
        raise RuntimeError("the \x1b[31m unforeseen")

    monkeypatch.setattr(enforcement, "check", broken)
    said = casewright("db", "check")
    assert said.code == 1
    assert "failed: RuntimeError: the \\x1b[31m unforeseen" in said.err
    assert "--debug" in said.err


def test_a_setting_that_cannot_be_used_is_named_without_its_value(casewright, monkeypatch):
    monkeypatch.setenv("CASEWRIGHT_SMTP_PORT", "s3cret")
    said = casewright("case", "list")
    assert said.code == 1
    assert "refused: CASEWRIGHT_SMTP_PORT: " in said.err
    assert "next: Correct the variable" in said.err
    assert "s3cret" not in said.err


def test_why_a_setting_cannot_be_used_is_said_in_our_words_alone(casewright, monkeypatch):
    monkeypatch.setenv("CASEWRIGHT_TIMESTAMP_URL", "ftp://tsa.example.org")
    said = casewright("case", "list")
    assert said.code == 1
    assert said.err.startswith("refused: CASEWRIGHT_TIMESTAMP_URL: give the authority's address as it names it")
    assert "Value error" not in said.err


def test_ctrl_c_ends_with_130(casewright, monkeypatch):
    async def interrupted(url):
        raise KeyboardInterrupt

    monkeypatch.setattr(enforcement, "check", interrupted)
    assert casewright("db", "check").code == 130


def test_a_reader_that_leaves_early_is_no_error(casewright, monkeypatch):
    async def closed(url):
        raise BrokenPipeError

    monkeypatch.setattr(enforcement, "check", closed)
    said = casewright("db", "check")
    assert (said.code, said.err) == (0, "")


def test_an_error_of_the_console_has_words_of_its_own_and_a_next_step():
    assert ConsoleError().diagnostics() == (
        "The command was refused.\n  next: Run the command with --help to see what it takes."
    )
    assert ConsoleError("no", next_step="yes").diagnostics() == "no\n  next: yes"


class TestWhoActs:
    """`--as` before CASEWRIGHT_PERSON before the login name; always a person on record."""

    @pytest.fixture
    def opener(self, casewright, filled):
        def opened_by(*options):
            casewright("case", "open", "--sop", "phishing", "--title", "Who?", *options)
            return casewright("case", "show", "1", "--json").json["opened_by"]

        return opened_by

    def test_the_option_comes_first(self, opener):
        assert opener("--as", "tomas") == "tomas"

    def test_then_the_environment(self, opener):
        assert opener() == "dana"

    def test_then_the_login_name(self, opener, monkeypatch):
        monkeypatch.delenv("CASEWRIGHT_PERSON")
        monkeypatch.setattr("getpass.getuser", lambda: "irene")
        assert opener() == "irene"

    def test_an_email_address_names_a_person_too(self, opener):
        assert opener("--as", "otto@demo.example") == "otto"

    def test_a_stranger_is_refused_and_told_what_to_do(self, casewright, filled):
        said = casewright("case", "open", "--sop", "phishing", "--title", "x", "--as", "mallory")
        assert said.code == 1
        assert "nobody called 'mallory'" in said.err
        assert "casewright people import" in said.err
        assert casewright("case", "list", "--state", "all", "--json").json == {"cases": []}

    def test_a_machine_without_a_login_name_names_nobody(self, casewright, filled, monkeypatch):
        def nameless():
            raise OSError("no such user")

        monkeypatch.delenv("CASEWRIGHT_PERSON")
        monkeypatch.setattr("getpass.getuser", nameless)
        said = casewright("case", "open", "--sop", "phishing", "--title", "x")
        assert said.code == 1
        assert "--as HANDLE" in said.err


def test_main_ends_the_process_with_the_exit_code(monkeypatch, home):
    monkeypatch.setattr("sys.argv", ["casewright", "nonsense"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
