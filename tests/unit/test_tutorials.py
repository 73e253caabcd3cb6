"""The tutorials do what they say: their files are written, their commands run, and their output compared."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
PAGES = sorted(TUTORIALS.glob("*.md"))
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A fenced block: a file (it has a title), commands (`sh`), or what the commands before it print (`text`)."""

    language: str
    info: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    for language, info, text in BLOCK.findall(page):
        yield Block(language, info, text)


class Reader:
    """Somebody who follows a page in an empty folder; what is exported stays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = ""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("CASEWRIGHT_")}
        self.environment = inherited | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "200"}

    def follow(self, block: Block) -> None:
        if title := TITLE.search(block.info):
            (self.folder / title[1]).parent.mkdir(exist_ok=True)
            (self.folder / title[1]).write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            self._run(block)
        else:
            assert block.language == "text", f"a block of this kind is neither a file nor a command: {block}"
            missing = [line for line in block.text.splitlines() if line not in self.output]
            assert missing == [], f"not in what was printed:\n{self.output}"

    def _run(self, block: Block) -> None:
        after = self.folder.parent / "environment"
        script = f"set -e\ntrap 'env -0 >{after}' EXIT\n{block.text}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        self.output = done.stdout
        assert done.returncode == (1 if "exit=1" in block.info else 0), done.stdout
        self.environment = dict(one.split("=", 1) for one in after.read_text().split("\0") if one)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_works_as_it_is_written(page: Path, tmp_path: Path):
    folder = tmp_path / "empty"
    folder.mkdir()
    reader = Reader(folder)
    steps = list(blocks(page.read_text(encoding="utf-8")))
    assert {"sh", "text"} <= {step.language for step in steps}
    for step in steps:
        reader.follow(step)


@pytest.mark.parametrize(
    "page",
    [
        "```sh\nfalse\n```\n",
        "```sh exit=1\ntrue\n```\n",
        "```sh\necho one\n```\n```text\ntwo\n```\n",
        "```ini\na=b\n```\n",
    ],
    ids=["a command fails", "a command does not fail", "other output", "a block of no kind"],
)
def test_a_page_that_does_not_hold_is_noticed(page: str, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    reader = Reader(tmp_path / "empty")
    with pytest.raises(AssertionError):
        [reader.follow(step) for step in blocks(page)]


@pytest.mark.parametrize("text", ["tutorials/first-sop.md", "tutorials/first-action.md"])
def test_the_readme_leads_to_the_tutorials(text: str):
    assert f"docs/{text}" in (TUTORIALS.parents[1] / "README.md").read_text(encoding="utf-8")
