"""Servers for the stores' tests; the shipped tests say what differed, as tests in this folder do."""

import pytest

pytest.register_assert_rewrite("sostenuto.stores.testing")

from tests.stores.servers import DURABLE, Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A durable server, shared by all tests of a run."""
    server = Server(tmp_path_factory.mktemp("server"), *DURABLE)
    yield server
    server.kill()
