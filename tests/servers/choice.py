"""Chooses the server behind each URL once in each run: first the environment, then a container, then a wheel."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from tests.servers import containers, wheels


@dataclass(frozen=True)
class Product:
    """A kind of server and the ways to start one."""

    name: str
    variable: str
    default_image: str
    in_container: Callable[[str], AbstractContextManager[str]]
    from_wheel: Callable[[], AbstractContextManager[str]]
    wheel_version: Callable[[], str]


@dataclass(frozen=True)
class Choice:
    """One server of this run: its origin in words without secrets, and a context manager that yields its URL."""

    origin: str
    start: Callable[[], AbstractContextManager[str]]


POSTGRES = Product(
    name="PostgreSQL",
    variable="CBSTORE_TEST_POSTGRES",
    default_image="postgres:17",
    in_container=containers.postgres,
    from_wheel=wheels.postgres,
    wheel_version=wheels.postgres_version,
)
REDIS = Product(
    name="Redis",
    variable="CBSTORE_TEST_REDIS",
    default_image="redis:7",
    in_container=containers.redis,
    from_wheel=wheels.redis,
    wheel_version=wheels.redis_version,
)


def choose(environ: Mapping[str, str]) -> dict[Product, Choice]:
    engine_answers = functools.cache(containers.engine_answers)
    return {product: _choose(product, environ, engine_answers) for product in (POSTGRES, REDIS)}


def _choose(product: Product, environ: Mapping[str, str], engine_answers: Callable[[], bool]) -> Choice:
    if url := environ.get(f"{product.variable}_URL"):
        return Choice(f"{product.name} ({product.variable}_URL)", lambda: nullcontext(url))
    if engine_answers():
        image = environ.get(f"{product.variable}_IMAGE", product.default_image)
        return Choice(f"{product.name} (container of {image})", functools.partial(product.in_container, image))
    return Choice(f"{product.name} {product.wheel_version()} (embedded wheel)", product.from_wheel)
