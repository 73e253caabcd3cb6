"""What the people of the demonstration answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from console.errors import DemoFailed

FILE = Path(__file__).with_name("answers.yaml")
_TAKEN = ("done", "approve")
"""Which decision is taken, where the form asks for one and the script says nothing."""


def load(path: Path = FILE) -> dict[str, dict[str, Any]]:
    """Return the answers, by task key and field."""
    answers: dict[str, dict[str, Any]] = YAML(typ="safe").load(path)
    return answers


def answer(answers: Mapping[str, Mapping[str, Any]], task: str, form: Mapping[str, Any]) -> dict[str, Any]:
    """Fill a form the way a person does: every field that the form shows and the script knows.

    Args:
        answers: The script.
        task: The task's key.
        form: The form's JSON Schema.

    Raises:
        DemoFailed: The script says nothing about the task, or not enough.
    """
    if task not in answers:
        raise DemoFailed(f"nobody of the demonstration knows what to answer to {task!r}", next_step=_next_step(task))
    fields = form["properties"]
    offered = fields.get("decision", {}).get("enum", ())
    decided = {"decision": taken} if (taken := next((one for one in _TAKEN if one in offered), None)) else {}
    filled = {**decided, **answers[task]}
    missing = [name for name in form.get("required", ()) if name not in filled]
    if missing:
        raise DemoFailed(
            f"the answer to {task!r} leaves out {', '.join(missing)}, which its form requires",
            next_step=_next_step(task),
        )
    return {name: value for name, value in filled.items() if name in fields}


def _next_step(task: str) -> str:
    return f"Add {task!r} to {FILE.name} of the demonstration, with the fields its form shows."
