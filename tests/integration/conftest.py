"""Databases for integration tests: SQLite files and a real PostgreSQL server, one per test process."""

from __future__ import annotations

import pytest

from tests.support.postgres import NOT_FOUND, running_cluster


@pytest.fixture(scope="session")
def postgres_cluster():
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def postgres(postgres_cluster):
    """Give the running cluster; the test is skipped where no server binaries can be had."""
    if postgres_cluster is None:
        pytest.skip(NOT_FOUND)
    return postgres_cluster


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path}/arbot.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request):
    """Give the URL of an empty database, once of each kind."""
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite_url")
    return request.getfixturevalue("postgres").create()
