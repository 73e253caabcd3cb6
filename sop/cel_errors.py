"""What the CEL library complains about, in an author's words and with what to do."""

from __future__ import annotations

import re

from sop.wording import shown

_OUTSIDE_TEXT = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")

_SLIPS: tuple[tuple[str, str, str], ...] = (
    (r"[\u2018-\u201f]", "has curly quotes", "Use straight quotes: \" or '."),
    (r"(?<![=!<>])=(?!=)", "has a single =", "Write == to compare."),
    (r"===", "has ===", "Write == to compare."),
    (r"<>", "has <>", "Write != for “is not”."),
    (r"\band\b|(?<!&)&(?!&)", "joins with a word or sign CEL does not know", "Write && for “and”."),
    (r"\bor\b|(?<!\|)\|(?!\|)", "joins with a word or sign CEL does not know", "Write || for “or”."),
    (r"\bnot\b", "negates with a word CEL does not know", "Write ! for “not”: !(…)."),
    (r"\{\{|\$\{|%\}", "is written like a template", "Write the bare expression: tasks.KEY.FIELD."),
    (r"`", "has a backtick", "Write a key's - as _: tasks.block_sender."),
    (r"\bis\b", "has the word “is”", "Write == to compare."),
)


def syntax(text: str, error: Exception) -> tuple[str, str]:
    """Say why an expression is not CEL, and what to write instead."""
    bare = _OUTSIDE_TEXT.sub('""', text)
    for pattern, slip, next_step in _SLIPS:
        if re.search(pattern, bare):
            return f"{shown(text)!r} {slip}.", next_step
    if bare.count('"') % 2 or bare.count("'") % 2:
        return f"{shown(text)!r} has a quote that is never closed.", "Close it; inside '…' use \"…\", and the reverse."
    if bare.count("(") != bare.count(")"):
        return f"{shown(text)!r} has a bracket that is not closed or not opened.", "Count ( and )."
    found = re.search(r"<input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)", str(error))
    where = f" at character {found[2]}" if found and found[1] == "1" else ""
    reason = f" ({shown(found[3].split(' expecting')[0])})" if found else ""
    return f"{shown(text)!r} is not a CEL expression{where}{reason}.", "Write one such as tasks.KEY.FIELD == 'value'."


def failure(error: Exception, names: tuple[str, ...]) -> tuple[str, str]:
    """Say why an expression had no answer; `names` are the values it names."""
    said = str(error).strip("'\"")
    if isinstance(error, KeyError):
        named = next((name for name in names if said in name.split(".")), said)
        return f"there is no value for {named}", f"Ask for it first: has({named}) && …"
    if isinstance(error, IndexError):
        return "a list is shorter than the condition expects", "Ask for size(…) first, or use observables.first(…)."
    if isinstance(error, ZeroDivisionError):
        return "it divides by zero", "Ask for the divisor first."
    if isinstance(error, OverflowError):
        return "a number became too large", "Compare smaller numbers."
    if isinstance(error, TypeError):
        step = "An empty value fits nothing: ask with has(…) first. Numbers in texts need string(…)."
        return f"its values do not fit together, among them {', '.join(names) or 'none with a name'}", step
    return shown(said.split(". Check")[0]), "Look at the values in `casewright case show` and correct the condition."
