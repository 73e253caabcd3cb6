"""Everything that the case store does, done as PostgreSQL's application role on a hardened database.

These are the tests of the verbs, the log and the outbox once more; only the database is another.
"""

import pytest

from case_store.store import CaseStore
from tests.store.test_audit_bundle import *  # noqa: F403
from tests.store.test_audit_trail import *  # noqa: F403 -- last: its fixture `cases` is the one that is meant
from tests.store.test_audit_tree import *  # noqa: F403
from tests.store.test_verbs_cases import *  # noqa: F403
from tests.store.test_verbs_concurrency import *  # noqa: F403
from tests.store.test_verbs_decisions import *  # noqa: F403
from tests.store.test_verbs_engine import *  # noqa: F403
from tests.store.test_verbs_executions import *  # noqa: F403
from tests.store.test_verbs_intake import *  # noqa: F403
from tests.store.test_verbs_outbox import *  # noqa: F403
from tests.store.test_verbs_people import *  # noqa: F403

del test_a_place_and_a_checkpoint_are_never_changed  # noqa: F821 -- refused in other words; see test_attacks.py

# What every verb needs is tried by test_every_verb.py in each run.
pytestmark = pytest.mark.slow


@pytest.fixture(params=["application"])
def database_url(hardened_database: str) -> str:
    return hardened_database


@pytest.fixture
def postgres_store(hardened_store: CaseStore) -> CaseStore:
    return hardened_store
