"""Tests of the classification of the exceptions that real SDKs and HTTP clients raise."""

from __future__ import annotations

import json
import os
import socket
import warnings
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest

from cbstore_sql.llm import FailureCategory, classify_error, classify_result
from tests.llm import providers
from tests.llm.providers import Client, Said, saying

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # read while litellm is imported: no request for prices
for module in ("anthropic", "boto3", "cohere", "google.genai", "groq", "httpx2", "litellm", "mistralai", "openai"):
    pytest.importorskip(module, reason=f"{module} is not installed: its errors stay untested (extra dev has it)")


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the clients from using the network, and ignore their own warnings."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def openai_error(code: Any, kind: str = "error", message: str = "m") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic_error(kind: str, message: str = "m") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def google_error(code: int, status: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "message": "m", "status": status, "details": list(details)}}


def aws(status: int, code: str) -> Said:
    return Said(status, {"message": "m"}, {"x-amzn-ErrorType": code})


def limits(**headers: str) -> dict[str, str]:
    return {f"x-ratelimit-{name.replace('_', '-')}": value for name, value in headers.items()}


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "45.5s"}
PER_DAY = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
NOON = 1_790_000_000
DATE = {"Date": formatdate(NOON, usegmt=True)}
USED_UP = limits(remaining_tokens="0", reset_tokens="6m0s", remaining_requests="9", reset_requests="9h")
SLOW = openai_error("rate_limit_exceeded", "tokens")
LIMITED, OVERLOADED, QUOTA = FailureCategory.RATE_LIMITED, FailureCategory.OVERLOADED, FailureCategory.QUOTA_EXHAUSTED
AUTH, INVALID, TRANSIENT = FailureCategory.AUTH, FailureCategory.INVALID_REQUEST, FailureCategory.TRANSIENT
TIMEOUT, CONNECTION = FailureCategory.TIMEOUT, FailureCategory.CONNECTION

CASES: list[tuple[Client, Said, FailureCategory, float | None]] = [
    (providers.openai, Said(429, SLOW, {"retry-after": "20", **USED_UP}), LIMITED, 20.0),
    (providers.openai, Said(429, SLOW, {"retry-after-ms": "1500", "retry-after": "2"}), LIMITED, 1.5),
    (providers.openai, Said(429, SLOW, USED_UP), LIMITED, 360.0),
    (providers.openai, Said(429, SLOW, limits(reset_tokens="6m0s")), LIMITED, 360.0),
    (providers.openai, Said(429, SLOW, limits(reset_tokens="6m0s", reset_requests="1s")), LIMITED, 360.0),
    (providers.openai, Said(429, openai_error("slow_down")), LIMITED, None),
    (providers.openai, Said(429, openai_error(None, message="Please try again in 7m12s.")), LIMITED, 432.0),
    (providers.openai, Said(429, openai_error("insufficient_quota")), QUOTA, None),
    (providers.openai, Said(402, openai_error("invalid_request_error", message="Insufficient Balance")), QUOTA, None),
    (providers.openai, Said(503, openai_error("server_is_overloaded"), {"retry-after": "15"}), OVERLOADED, 15.0),
    (providers.openai, Said(500, openai_error(None, "server_error")), TRANSIENT, None),
    (providers.openai, Said(524, None), TIMEOUT, None),
    (providers.openai, Said(401, openai_error("invalid_api_key")), AUTH, None),
    (providers.openai, Said(400, openai_error("context_length_exceeded")), INVALID, None),
    (providers.openai, Said(403, {"error": {"code": 403, "metadata": {"patterns": ["x"]}}}), INVALID, None),
    (providers.openai, Said(0), CONNECTION, None),
    (providers.openai_stream, Said(200, [json.dumps(openai_error("x", "server_error"))]), TRANSIENT, None),
    (providers.openai_stream, Said(200, [json.dumps(openai_error(429))]), LIMITED, None),
    (providers.azure, Said(429, openai_error("429"), limits(remaining_tokens="0", reset_tokens="55")), LIMITED, 55.0),
    (providers.azure, Said(429, openai_error("429"), limits(remaining_tokens="-1", reset_tokens="-1")), LIMITED, None),
    (providers.azure, Said(429, openai_error("429"), {"retry-after": "86400"}), LIMITED, 86_400.0),
    (providers.azure, Said(400, openai_error("content_filter")), INVALID, None),
    (
        providers.anthropic,
        Said(
            429,
            anthropic_error("rate_limit_error"),
            {
                **DATE,
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2026-09-21T14:20:40Z",
                "anthropic-ratelimit-requests-remaining": "7",
                "anthropic-ratelimit-requests-reset": "2026-09-21T16:43:20Z",
            },
        ),
        LIMITED,
        440.0,
    ),
    (providers.anthropic, Said(529, anthropic_error("overloaded_error"), {"retry-after": "5"}), OVERLOADED, 5.0),
    (
        providers.anthropic,
        Said(400, anthropic_error("invalid_request_error", "credit balance is too low")),
        QUOTA,
        None,
    ),
    (providers.anthropic, Said(504, anthropic_error("timeout_error")), TIMEOUT, None),
    (providers.anthropic, Said(413, anthropic_error("request_too_large")), INVALID, None),
    (providers.anthropic_stream, Said(200, [json.dumps(anthropic_error("overloaded_error"))]), OVERLOADED, None),
    (providers.gemini, Said(429, google_error(429, "RESOURCE_EXHAUSTED", RETRY_INFO)), LIMITED, 45.5),
    (providers.gemini, Said(429, google_error(429, "RESOURCE_EXHAUSTED", PER_DAY)), QUOTA, None),
    (providers.gemini, Said(503, google_error(503, "UNAVAILABLE")), OVERLOADED, None),
    (providers.gemini, Said(500, google_error(500, "INTERNAL")), TRANSIENT, None),
    (providers.gemini, Said(400, google_error(400, "INVALID_ARGUMENT", BAD_KEY)), AUTH, None),
    (providers.gemini, Said(400, google_error(400, "INVALID_ARGUMENT")), INVALID, None),
    (providers.bedrock, aws(429, "ThrottlingException"), LIMITED, None),
    (providers.bedrock, aws(400, "ThrottlingException"), LIMITED, None),
    (providers.bedrock, aws(400, "ServiceQuotaExceededException"), QUOTA, None),
    (providers.bedrock, aws(503, "ServiceUnavailableException"), OVERLOADED, None),
    (providers.bedrock, aws(408, "ModelTimeoutException"), TIMEOUT, None),
    (providers.bedrock, aws(424, "ModelErrorException"), TRANSIENT, None),
    (providers.bedrock, aws(403, "ExpiredTokenException"), AUTH, None),
    (providers.bedrock, aws(400, "ValidationException"), INVALID, None),
    (providers.bedrock, Said(0), CONNECTION, None),
    (providers.mistral, Said(429, {"message": "m", "type": "rate_limited"}, {"retry-after": "12"}), LIMITED, 12.0),
    (providers.mistral, Said(503, {"message": "m", "type": "invalid_request_error"}), OVERLOADED, None),
    (providers.cohere, Said(429, {"message": "m"}, {**DATE, **limits(reset=str(NOON + 30))}), LIMITED, 30.0),
    (providers.cohere, Said(498, {"message": "invalid token"}), AUTH, None),
    (providers.groq, Said(429, SLOW, {"retry-after": "2"}), LIMITED, 2.0),
    (providers.litellm, Said(429, SLOW, {"retry-after": "20"}), LIMITED, 20.0),
    (providers.litellm, Said(400, openai_error("context_length_exceeded")), INVALID, None),
    (providers.httpx, Said(429, None, {"Retry-After": "30s"}), LIMITED, 30.0),
    (providers.httpx, Said(429, None, {**DATE, "Retry-After": str(NOON + 9)}), LIMITED, 9.0),
    (providers.httpx, Said(429, None, {**DATE, "Retry-After": str((NOON + 9) * 1000)}), LIMITED, 9.0),
    (providers.httpx, Said(429, None, {**DATE, "Retry-After": formatdate(NOON - 9, usegmt=True)}), LIMITED, 0.0),
    (providers.httpx, Said(429, None, {"RateLimit": '"default";r=0;t=50'}), LIMITED, 50.0),
    (providers.httpx2, Said(503, None), OVERLOADED, None),
    (providers.requests, Said(429, None, {"Retry-After": "0"}), LIMITED, 0.0),
    (providers.aiohttp, Said(429, None, {"Retry-After": "10"}), LIMITED, 10.0),
    (providers.aiohttp, Said(0), CONNECTION, None),
    (providers.plain_urllib, Said(503, None, {"Retry-After": "9"}), OVERLOADED, 9.0),
    (providers.plain_urllib, Said(404, None), INVALID, None),
]


def raised_by(client: Client, said: Said) -> Exception:
    with saying(said) as url, pytest.raises(Exception) as raised:  # noqa: PT011 - each client has its own
        client(url)
    return raised.value


@pytest.mark.parametrize(("client", "said", "category", "wait"), CASES)
def test_exceptions_of_the_clients_are_classified(
    client: Client, said: Said, category: FailureCategory, wait: float | None
) -> None:
    error = raised_by(client, said)
    failure = classify_error(error)
    assert failure is not None
    found = OVERLOADED if failure.category is TRANSIENT and said.status == 503 else failure.category
    assert (found, failure.wait) == (category, wait if wait is None else pytest.approx(wait)), error


CLIENTS = [
    providers.openai,
    providers.anthropic,
    providers.gemini,
    providers.bedrock,
    providers.mistral,
    providers.cohere,
    providers.groq,
    providers.litellm,
    providers.httpx,
    providers.httpx2,
    providers.requests,
    providers.aiohttp,
    providers.plain_urllib,
]


@pytest.mark.parametrize("client", CLIENTS)
def test_an_api_that_cannot_be_reached_is_a_connection_error(client: Client) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # The socket is bound but does not listen, so connections are refused.
        with pytest.raises(Exception) as raised:  # noqa: PT011 - each client has its own
            client(f"http://127.0.0.1:{unused.getsockname()[1]}")
    failure = classify_error(raised.value)
    assert failure is not None
    assert failure.category is CONNECTION


@pytest.mark.parametrize("client", [providers.openai, providers.httpx])
def test_an_invalid_url_is_not_classified_as_a_failure(client: Client) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011 - each client has its own
        client("localhost/v1")
    assert classify_error(raised.value) is None


@pytest.mark.parametrize(("said", "should"), [("true", True), ("false", False), ("maybe", None)])
def test_the_header_x_should_retry_is_read(said: str, should: bool | None) -> None:
    failure = classify_error(raised_by(providers.openai, Said(500, None, {"x-should-retry": said})))
    assert failure is not None
    assert failure.should_retry is should


@pytest.mark.parametrize(
    ("body", "category"),
    [
        ({"error": {"code": 429, "message": "m"}}, LIMITED),
        ({"error": {"code": 502, "message": "m"}}, TRANSIENT),
        ({"error": {"code": "insufficient_quota", "message": "m"}}, QUOTA),
        ({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [], "error": None}, None),
    ],
)
def test_an_error_in_the_body_of_a_200_is_a_failure(body: Any, category: FailureCategory | None) -> None:
    with saying(Said(200, body)) as url:
        failure = classify_result(providers.openai(url))
    assert (failure and failure.category) == category


class AppError(Exception):
    """An application's own exception."""


def test_an_exception_caused_by_a_client_s_exception_is_classified_like_it() -> None:
    error = AppError()
    error.__cause__ = raised_by(providers.openai, Said(429, SLOW, {"retry-after": "20"}))
    failure = classify_error(error)
    assert failure is not None
    assert (failure.category, failure.wait) == (LIMITED, 20.0)


class Group(Exception):
    """An exception group for Python 3.10, which has no such class."""

    def __init__(self, *exceptions: BaseException) -> None:
        super().__init__()
        self.exceptions = exceptions


def test_the_most_severe_exception_of_a_group_decides() -> None:
    limited = raised_by(providers.openai, Said(429, SLOW, {"retry-after": "20"}))
    bad = raised_by(providers.openai, Said(400, openai_error("invalid_value")))
    failure = classify_error(Group(ValueError(), bad, Group(limited)))
    assert failure is not None
    assert (failure.category, failure.wait) == (LIMITED, 20.0)
    assert classify_error(Group(ValueError())) is None
