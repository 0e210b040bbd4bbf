"""Tests of the endpoint in docs/llm-tutorial.md with servers that stream like the providers."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cbstore_sql import migrate
from tests.docs.pages import DATABASE, program

PAGE = "docs/llm-tutorial.md"
PRIMARY, SECONDARY = "openai/gpt-4o-mini", "groq/llama-3.3-70b-versatile"


class Provider(ThreadingHTTPServer):
    """A server that answers with ``status``. It streams a successful answer, and with ``cut`` only its first chunk."""

    def __init__(self, words: tuple[str, ...]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.words = words
        self.status = 200
        self.cut = False
        self.requests: list[dict[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(asked)
        self.send_response(self.server.status)
        self.send_header("Content-Type", "text/event-stream" if asked.get("stream") else "application/json")
        if self.server.cut:
            self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(self._body(stream=bool(asked.get("stream"))).encode())

    def _body(self, *, stream: bool) -> str:
        if self.server.status != 200:
            return '{"error": {"message": "no"}}'
        words = self.server.words
        if not stream:
            return json.dumps(_answer("message", "".join(words)))
        chunks = [f"data: {json.dumps(_answer('delta', word))}\n\n" for word in words]
        return chunks[0] if self.server.cut else "".join([*chunks, "data: [DONE]\n\n"])

    def log_message(self, *_: object) -> None:
        pass


def _answer(kind: str, content: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": None, kind: {"role": "assistant", "content": content}}
    return {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


@contextmanager
def provider(*words: str) -> Iterator[Provider]:
    with Provider(words) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def openai() -> Iterator[Provider]:
    with provider("from ", "the ", "first") as server:
        yield server


@pytest.fixture
def groq() -> Iterator[Provider]:
    with provider("from ", "the ", "second") as server:
        yield server


@pytest.fixture
def page(openai: Provider, groq: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names that the program of the page defines."""
    monkeypatch.setenv("OPENAI_BASE_URL", openai.url)
    monkeypatch.setenv("GROQ_BASE_URL", groq.url)
    url = f"sqlite:///{tmp_path}/breakers.db"
    migrate(url)
    names: dict[str, Any] = {"__name__": "chat"}
    exec(compile(program(PAGE).replace(DATABASE, url), PAGE, "exec", dont_inherit=True), names)  # noqa: S102 - our own page
    yield names
    names["store"].close()


@pytest.fixture
def browser(page: dict[str, Any]) -> Iterator[TestClient]:
    with TestClient(page["app"]) as browser:
        yield browser


def ask(browser: TestClient) -> str:
    answer = browser.get("/chat", params={"question": "Why?"})
    assert answer.status_code == 200, answer.text
    return answer.text


def failures(page: dict[str, Any], name: str) -> tuple[str, int]:
    snapshot = page["store"].read(name)
    return snapshot.state.value, snapshot.failure_count


def test_the_endpoint_streams_the_answer_of_the_first_target(
    browser: TestClient, openai: Provider, groq: Provider
) -> None:
    assert ask(browser) == "from the first"
    (asked,) = openai.requests
    assert (asked["model"], asked["stream"], asked["messages"][0]["content"]) == ("gpt-4o-mini", True, "Why?")
    assert groq.requests == []


def test_the_second_target_answers_while_the_first_is_down(
    browser: TestClient, page: dict[str, Any], openai: Provider, groq: Provider
) -> None:
    openai.status = 503
    assert [ask(browser) for _ in range(8)] == ["from the second"] * 8
    assert (len(openai.requests), len(groq.requests)) == (5, 8)
    assert failures(page, PRIMARY)[0] == "open"


def test_the_endpoint_answers_502_and_then_503_with_retry_after_if_every_target_fails(
    browser: TestClient, openai: Provider, groq: Provider
) -> None:
    openai.status = groq.status = 503
    codes = [browser.get("/chat", params={"question": "Why?"}).status_code for _ in range(6)]
    assert codes == [502] * 5 + [503]
    refused = browser.get("/chat", params={"question": "Why?"})
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert (len(openai.requests), len(groq.requests)) == (5, 5)


def test_a_stream_that_breaks_counts_as_a_failure_of_its_target(
    browser: TestClient, page: dict[str, Any], openai: Provider
) -> None:
    openai.cut = True
    # The server must break the connection off: the answer's status has already been sent.
    with pytest.raises(RuntimeError, match="response already started"):
        browser.get("/chat", params={"question": "Why?"})
    assert failures(page, PRIMARY) == ("closed", 1)


def test_the_earlier_steps_of_the_page_work_with_the_same_targets(page: dict[str, Any], openai: Provider) -> None:
    async def both() -> list[str]:
        answers = [await page["ask"]("Why?")]
        openai.status = 503
        answers.append(await page["ask_anyone"]("Why?"))
        await page["router"].close()
        return answers

    assert asyncio.run(both()) == ["from the first", "from the second"]
    assert failures(page, PRIMARY) == ("closed", 1)
    assert failures(page, SECONDARY) == ("closed", 0)
