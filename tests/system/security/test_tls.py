"""A server is accepted only with a certificate of the right authority for the right name."""

from __future__ import annotations

import asyncio
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from cbstore_sql import AsyncRedisStore, AsyncSqlStore, RedisStore, SqlStore, StoreUnavailableError, migrate, prune
from tests.docs.pages import blocks
from tests.servers.wheels import LOOPBACK
from tests.system.security import tls

Count = Callable[[str], int]


def count(url: str) -> int:
    with SqlStore(url, namespace=uuid.uuid4().hex) as store:
        return store.increment_failure("b")


def count_async(url: str) -> int:
    async def ask() -> int:
        store = AsyncSqlStore(url, namespace=uuid.uuid4().hex)
        try:
            transition = await store.record_failure("b")
        finally:
            await store.close()
        assert transition is not None
        return transition.snapshot.failure_count

    return asyncio.run(ask())


def count_in_redis(url: str) -> int:
    with RedisStore.from_url(url, key_prefix=uuid.uuid4().hex) as store:
        return store.increment_failure("b")


def count_in_redis_async(url: str) -> int:
    async def ask() -> int:
        store = AsyncRedisStore.from_url(url, key_prefix=uuid.uuid4().hex)
        try:
            transition = await store.record_failure("b")
        finally:
            await store.close()
        assert transition is not None
        return transition.snapshot.failure_count

    return asyncio.run(ask())


@dataclass(frozen=True)
class Encrypted:
    """The URLs of two servers with TLS, and the files of two authorities.

    Attributes:
        named: The URL of the server whose certificate names its address.
        misnamed: The URL of the server whose certificate names another address.
        ours: The file of the authority that signed both certificates.
        other: The file of an authority that signed neither certificate.
    """

    named: str
    misnamed: str
    ours: Path
    other: Path


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path, Path]:
    """Return an authority that signs, the file of its certificate, and the file of another authority's certificate."""
    folder, signing = tmp_path_factory.mktemp("authorities"), trustme.CA()
    signing.cert_pem.write_to_path(str(folder / "ours.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "other.pem"))
    return signing, folder / "ours.pem", folder / "other.pem"


@contextmanager
def both(serve: Callable[[trustme.LeafCert], Any], authorities: tuple[trustme.CA, Path, Path]) -> Iterator[Encrypted]:
    signing, ours, other = authorities
    with serve(signing.issue_cert(LOOPBACK)) as named, serve(signing.issue_cert("db.example")) as misnamed:
        yield Encrypted(named, misnamed, ours, other)


@pytest.fixture(scope="module", params=["before the server", "the server's own"])
def postgresql(
    request: pytest.FixtureRequest, authorities: tuple[trustme.CA, Path, Path], migrated_postgres_url: str
) -> Iterator[Encrypted]:
    if request.param == "before the server":
        serve = partial(tls.terminated, migrated_postgres_url)
    elif tls.BINARIES is None:
        pytest.skip("no PostgreSQL that speaks TLS is installed: apt-get install postgresql")
    else:
        serve = partial(tls.postgres, tls.BINARIES)
    with both(serve, authorities) as encrypted:
        migrate(encrypted.named)
        yield encrypted


@pytest.fixture(scope="module")
def redis(authorities: tuple[trustme.CA, Path, Path], redis_url: str) -> Iterator[Encrypted]:
    with both(partial(tls.terminated, redis_url), authorities) as encrypted:
        yield encrypted


def verified(url: str, authority: Path) -> str:
    """Return a URL with the options that docs/security.md shows."""
    if url.startswith("redis"):
        return f"{url.replace('redis', 'rediss', 1)}?ssl_cert_reqs=required&ssl_ca_certs={authority}"
    return f"{url}?sslmode=verify-full&sslrootcert={authority}"


def refused(work: Count, url: str) -> str:
    """Check that the connection is refused without an effect and without showing a secret, and return the messages."""
    with pytest.raises(StoreUnavailableError) as raised:
        work(url)
    assert raised.value.applied is False
    assert str(urlsplit(url).password) not in "".join(traceback.format_exception(raised.value))
    return str(raised.value)


def test_the_page_shows_the_urls_that_these_tests_use() -> None:
    (shown,) = (block for block in blocks("docs/security.md", "text") if "sslrootcert" in block)
    for url in ("postgresql://app@db.example/app", "redis://:password@cache.example:6379/0"):
        assert verified(url, Path("/etc/ssl/our-authority.pem")) in shown.splitlines()


SQL = pytest.mark.parametrize("work", [count, count_async])
REDIS = pytest.mark.parametrize("work", [count_in_redis, count_in_redis_async])


@SQL
def test_postgresql_with_the_right_authority_and_name_is_accepted(work: Count, postgresql: Encrypted) -> None:
    assert work(verified(postgresql.named, postgresql.ours)) == 1


@SQL
def test_postgresql_of_another_authority_is_refused(work: Count, postgresql: Encrypted) -> None:
    assert "certificate" in refused(work, verified(postgresql.named, postgresql.other))


@SQL
def test_postgresql_of_another_name_is_refused(work: Count, postgresql: Encrypted) -> None:
    assert "certificate" in refused(work, verified(postgresql.misnamed, postgresql.ours))


@SQL
def test_without_verification_any_server_is_accepted(work: Count, postgresql: Encrypted) -> None:
    """This is the reason why the page recommends ``verify-full``."""
    assert work(f"{postgresql.named}?sslmode=require") == 1


def test_a_server_without_tls_is_refused_if_the_url_requires_tls(migrated_postgres_url: str) -> None:
    refused(count, f"{migrated_postgres_url}?sslmode=require")


def test_migrate_and_prune_verify_the_server(postgresql: Encrypted) -> None:
    for work in (migrate, partial(prune, idle_for=3600)):
        work(verified(postgresql.named, postgresql.ours))
        with pytest.raises(StoreUnavailableError):
            work(verified(postgresql.misnamed, postgresql.ours))


@REDIS
def test_redis_with_the_right_authority_and_name_is_accepted(work: Count, redis: Encrypted) -> None:
    assert work(verified(redis.named, redis.ours)) == 1


@REDIS
def test_redis_of_another_authority_or_name_is_refused(work: Count, redis: Encrypted) -> None:
    assert "certificate" in refused(work, verified(redis.named, redis.other))
    assert "certificate" in refused(work, verified(redis.misnamed, redis.ours))
