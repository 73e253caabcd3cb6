"""The JSON Schema that editors read is the one of the models."""

from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from sop.library import BUILT_IN
from sop.schema import FILE, main, schema, text


def load(path: Path) -> object:
    return YAML(typ="safe", pure=True).load(path.read_text("utf-8"))


def test_the_file_is_in_step():
    assert FILE.read_text("utf-8") == text(), "run: python -m sop.schema > sop/sop.schema.json"


def test_it_is_what_is_printed(capsys):
    main()

    assert capsys.readouterr().out == text()


def test_it_is_a_schema_and_says_something_about_every_field():
    described = schema()
    jsonschema.Draft202012Validator.check_schema(described)

    parts = {"Sop": described, **described["$defs"]}
    silent = [
        f"{part}.{name}"
        for part, content in parts.items()
        for name, field in content.get("properties", {}).items()
        if len(field.get("description", "")) < 15
    ]
    assert silent == []


@pytest.mark.parametrize(
    "path", sorted(file for file in BUILT_IN.glob("*.yaml") if file.stem != "roles"), ids=lambda path: path.stem
)
def test_our_sops_fit(path):
    assert list(jsonschema.Draft202012Validator(schema()).iter_errors(load(path))) == []


@pytest.mark.parametrize(
    "name", ["01-unknown-field", "22-yes-for-true", "26-sla-in-words", "30-severity-in-capitals", "56-condition-empty"]
)
def test_an_editor_sees_mistakes(name):
    broken = load(Path(__file__).parent / "broken" / f"{name}.yaml")

    assert list(jsonschema.Draft202012Validator(schema()).iter_errors(broken)) != []
