"""How actions are marked and found: by entry point or by module, and never two of one name."""

import inspect
import sys
from textwrap import dedent

import pytest

from sop.actions import action, discover, names, spec_of
from sop.errors import ActionRefused

MODULE = dedent("""
    from sop.actions import action

    @action(name="mail.block_sender", idempotent=True)
    async def block(context, address: str, reason: str = ""):
        '''Block a sender at the gateway.

        Twice is as good as once.
        '''

    @action(name="phone.ring", idempotent=False, title="Ring somebody")
    def ring(context, **who):
        '''Ring.'''
""")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that installs a module, with entry points if wished."""
    installed = []

    def install(name: str, source: str, **entry_points: str) -> None:
        (tmp_path / f"{name}.py").write_text(source)
        installed.append(name)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{key.replace('__', '.')} = {value}" for key, value in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[casewright.actions]", *lines, ""]))

    monkeypatch.syspath_prepend(tmp_path)
    yield install
    for name in installed:
        sys.modules.pop(name, None)


def test_actions_of_a_module_are_found(package):
    package("acts_one", MODULE)

    block = discover(["acts_one"])["mail.block_sender"]

    assert (block.idempotent, block.title) == (True, "Block a sender at the gateway")
    assert block.parameters() == {"address": True, "reason": False}
    assert inspect.iscoroutinefunction(block.function)


def test_the_code_version_changes_with_the_source(package):
    package("acts_two", MODULE)
    package("acts_three", MODULE + "# changed\n")

    two, three = (discover([name])["phone.ring"].code_version for name in ("acts_two", "acts_three"))

    assert two.startswith("acts_two@")
    assert len(two.partition("@")[2]) == 12
    assert two.partition("@")[2] != three.partition("@")[2]


def test_an_action_that_takes_anything_has_no_list_of_parameters(package):
    package("acts_four", MODULE)

    ring = discover(["acts_four"])["phone.ring"]

    assert (ring.idempotent, ring.title, ring.parameters()) == (False, "Ring somebody", None)


def test_entry_points_are_named_without_being_imported_and_found_when_they_are(package):
    package("acts_five", MODULE, mail__block_sender="acts_five:block")

    assert "mail.block_sender" in names()
    assert "acts_five" not in sys.modules
    assert "mail.block_sender" in discover()
    assert "acts_five" in sys.modules


def test_the_same_action_by_entry_point_and_by_module_is_one(package):
    package("acts_six", MODULE, mail__block_sender="acts_six:block")

    assert {"mail.block_sender", "phone.ring"} <= discover(["acts_six"]).keys()


@pytest.mark.parametrize(
    ("source", "entry", "said"),
    [
        ("raise RuntimeError('no key')", "it:block", r"cannot be imported from it:block: no key"),
        ("block = print", "it:block", r"builtins:print is not marked as an action"),
        (MODULE, "it:ring", r"leads to an action that calls itself 'phone\.ring'"),
        (MODULE, "it:nothing", r"cannot be imported from it:nothing"),
    ],
)
def test_a_wrong_entry_point_is_refused_by_name(package, source, entry, said):
    package("it", source, mail__block_sender=entry)

    with pytest.raises(ActionRefused, match=said) as caught:
        discover()

    assert caught.value.diagnostics().count("\n  next: ") == 1


def test_two_actions_of_one_name_are_refused(package):
    package("acts_seven", MODULE)
    package("acts_eight", MODULE)

    with pytest.raises(ActionRefused, match=r"acts_seven:block and acts_eight:block"):
        discover(["acts_seven", "acts_eight"])


@pytest.mark.parametrize("look", [discover, names])
def test_a_module_that_is_not_there_is_refused(look):
    with pytest.raises(ActionRefused, match="'no_such_module' cannot be imported") as caught:
        look(["no_such_module"])

    assert "CASEWRIGHT_ACTIONS" in caught.value.next_step


@pytest.mark.parametrize("name", ["", "Mail.block", "mail block", "mail..block", "mail.", "1mail"])
def test_a_name_that_sops_could_not_write_is_refused(name):
    with pytest.raises(ActionRefused, match="is not the name of an action"):
        action(name=name, idempotent=True)


@pytest.mark.parametrize(
    "function",
    [lambda: None, lambda *, context: None, lambda context, *rest: None],
    ids=["no context", "context by name", "nameless rest"],
)
def test_a_function_that_does_not_take_the_context_and_names_is_refused(function):
    with pytest.raises(ActionRefused, match=r"first parameter|without a name"):
        action(name="it.does", idempotent=True)(function)


def test_a_marked_function_stays_itself():
    def do(context, a):
        return a

    assert action(name="it.does", idempotent=True)(do) is do
    assert do(None, 5) == 5
    assert spec_of(do).title == "it.does"
