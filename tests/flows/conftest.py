"""One site for the tests of the engine: server, worker and relay are started once."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.site import Desk, Site, desk_at, site_in


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A deployed site whose worker and relay run."""
    with site_in(tmp_path_factory.mktemp("site"), "serve") as one:
        yield one


@pytest.fixture
async def desk(site: Site) -> AsyncIterator[Desk]:
    """A person's desk at the site."""
    async with desk_at(site) as one:
        yield one
