"""Refusals of the command line: each has a name, a reason and a next step."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class ExplainsItself(Protocol):
    """An error of any package that can tell a person what to do next."""

    def diagnostics(self) -> str:
        """Say what happened, why, and what to do next."""
        ...


class ConsoleError(Exception):
    """The command was refused."""

    next_step: str = "Run the command with --help to see what it takes."

    def __init__(self, message: str | None = None, *, next_step: str | None = None) -> None:
        """Say what was refused; without words of its own the class's docstring speaks."""
        super().__init__(message or self.__class__.__doc__)
        if next_step is not None:
            self.next_step = next_step

    def diagnostics(self) -> str:
        """Say what was refused and what to do next."""
        return f"{self}\n  next: {self.next_step}"


class BadSetting(ConsoleError):
    """A setting has a value that cannot be used."""

    next_step = "Correct the variable in the environment, or unset it."


class NotAPerson(ConsoleError):
    """Nobody in the case store bears this name."""

    next_step = (
        "Name a person with --as HANDLE or CASEWRIGHT_PERSON (see `casewright people list`), "
        "or bring people in with `casewright people import FILE.csv`."
    )


class BadTaskName(ConsoleError):
    """A task is named CASE/KEY, such as 12/confirm, or by its id."""

    next_step = "See the names with `casewright task list` or `casewright case show NUMBER`."


class BadValue(ConsoleError):
    """A value is given as field=value."""

    next_step = "Write --set field=value, once for each field of the task's form."


class FileRefused(ConsoleError):
    """The file cannot be read."""

    next_step = "Check the path and that you may read it."


class FileNotWritten(FileRefused):
    """The file cannot be written."""

    next_step = "Name a file you may write, on a disk with room."


class FileIsThere(FileNotWritten):
    """There is such a file already; nothing is replaced unasked."""

    next_step = "Name another file, or give --replace."


class BadLogKey(ConsoleError):
    """This is not the public key of a log."""

    next_step = "Ask those who run the log for the line that `casewright audit key` prints, and keep it in a file."


class ExportInterrupted(ConsoleError):
    """An export into this file was interrupted."""

    next_step = "Give --resume to go on with it, or remove its .part.json file to begin anew."


class PortTaken(ConsoleError):
    """Something else listens on this port."""

    next_step = "Choose another with --port, or --port 0 for any free one."


class HomeBusy(ConsoleError):
    """Another `casewright up` runs on the same home."""

    next_step = "Stop that one first, or set CASEWRIGHT_HOME to another folder."


class ChildFailed(ConsoleError):
    """A part of Casewright ended before it was ready."""

    next_step = "Read the log named above."


class PrefectUnreachable(ConsoleError):
    """Prefect's API does not answer."""

    next_step = "Check that `casewright up` runs and that CASEWRIGHT_PREFECT_API_URL is right."


class AnswerRefused(ConsoleError):
    """Prefect refused the answer to a waiting task."""

    next_step = "Compare the answer with the task's form in the Prefect UI."


class DemoFailed(ConsoleError):
    """The demonstration did not reach its end."""


class NoSuchSink(ConsoleError):
    """The settings name no such sink."""

    next_step = "See the names with `casewright audit sinks`; sinks are set up in the environment."


class TemplatesRefused(ConsoleError):
    """Templates of this installation cannot be used; messages are written with the built-in ones."""

    next_step = "Correct the files named above: docs/howto/messages.md says what templates may hold."
