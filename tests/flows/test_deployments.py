"""What is deployed, and that it can be loaded."""

import importlib
from importlib.metadata import entry_points
from pathlib import Path

import yaml
from prefect.flows import Flow
from prefect.workers.base import BaseWorker

from flows import deployments
from flows.worker import CasewrightWorker
from sop.library import Library
from tests.site import ROOT

COMMITTED = ROOT / "prefect.yaml"


def test_prefect_yaml_is_in_step_with_the_library(tmp_path: Path) -> None:
    deployments.write(tmp_path / "prefect.yaml")
    assert COMMITTED.read_text() == (tmp_path / "prefect.yaml").read_text(), (
        "run: python -m flows deploy --write prefect.yaml"
    )


def test_it_names_every_sop_and_each_entry_point_is_a_flow_of_that_name() -> None:
    listed = {one["name"]: one for one in yaml.safe_load(COMMITTED.read_text())["deployments"]}
    assert set(listed) == {*Library.load().sops, "manual-task", "sweep", "escalation"}
    for name, one in listed.items():
        module, _, attribute = one["entrypoint"].rpartition(".")
        found = getattr(importlib.import_module(module), attribute)
        assert isinstance(found, Flow)
        assert found.name == name


def test_prefect_finds_our_work_pool_type_by_its_entry_point() -> None:
    found = entry_points(group="prefect.collections", name="casewright")
    assert [entry.value for entry in found] == ["flows.worker"]
    assert BaseWorker.get_worker_class_from_type("casewright") is CasewrightWorker
