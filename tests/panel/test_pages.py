"""Tests of the content of the pages."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlencode

import pytest

from cbstore_sql import SqlStore, StoreUnavailableError
from tests.panel.conftest import HOSTILE, POLICY
from tests.panel.requests import Client


def names(text: str) -> list[str]:
    """Return the names of the breakers of the list in order."""
    return [unescape(name) for name in re.findall(r'<th scope="row"><a [^>]*>(.*?)</a>', text)]


def words(text: str) -> str:
    """Return the visible text of a page."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())


def test_the_list_begins_with_the_most_severe_breakers(client: Client) -> None:
    shown = names(client.get("/").text)
    assert set(shown[:4]) == {"payments", HOSTILE, "search", "locked"}
    assert shown[4] == "mail"
    assert set(shown[5:7]) == {"ledger", "shadowed"}
    assert shown[7:] == ["clean"]


def test_the_list_shows_the_state_of_each_breaker(client: Client) -> None:
    text = words(client.get("/").text)
    assert "3 open 1 half open 4 closed 2 with an override" in text
    assert "payments web open 3 probe in 1 d" in text
    assert "search web open (forced) 0 probe in 1 d" in text
    assert "mail web half open 0 probe under way, 1 d left api-1/77" in text
    assert "locked web locked open, 1 d left closed" in text
    assert "shadowed web shadow closed" in text


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({"q": "PAY"}, {"payments"}),
        ({"q": "web", "state": "half_open"}, {"mail"}),
        ({"state": "override"}, {"locked", "shadowed"}),
        ({"state": "closed", "q": "e"}, {"ledger", "clean", "locked", "shadowed"}),
        ({"q": "<script>"}, {HOSTILE}),
        ({"q": "nothing like it"}, set()),
        ({"q": "%"}, set()),
    ],
    ids=lambda value: urlencode(value) if isinstance(value, dict) else "",
)
def test_the_list_is_filtered(query: dict[str, str], shown: set[str], client: Client) -> None:
    assert set(names(client.get("/", query).text)) == shown


def test_the_list_is_sorted(client: Client) -> None:
    by_name = names(client.get("/", {"sort": "name"}).text)
    assert by_name == sorted(by_name)
    assert set(names(client.get("/", {"sort": "failures"}).text)[:2]) == {"payments", HOSTILE}
    assert names(client.get("/", {"sort": "changed"}).text)[0] in ("ledger", "mail")


def test_an_invalid_query_shows_the_whole_list(client: Client) -> None:
    query = {"page": "-1", "sort": "'; DROP TABLE breakers", "state": "x", "name": "ignored", "extra": "1"}
    assert len(names(client.get("/", query).text)) == 8


def test_the_page_of_a_breaker_explains_its_state_and_shows_its_history(client: Client) -> None:
    text = words(client.get("/breaker", {"namespace": "web", "name": "payments"}).text)
    assert "payments is open: calls are refused." in text
    assert "the failures reached the threshold" in text
    assert "closed open the failures reached the threshold" in text


def test_the_page_of_a_locked_breaker_shows_the_person_and_the_reason(client: Client) -> None:
    answer = client.get("/breaker", {"namespace": "web", "name": "locked"})
    assert "locked is locked open: every call is refused." in words(answer.text)
    assert "bob set this override. Reason: <b>double</b> charges." in words(answer.text)
    assert "<b>double</b>" not in answer.text


def test_the_page_of_an_unknown_breaker_is_not_found(client: Client) -> None:
    assert client.get("/breaker", {"namespace": "web", "name": "none"}).status == 404
    assert client.get("/breaker", {"namespace": "other", "name": "payments"}).status == 404
    assert client.get("/breaker").status == 404


def test_hostile_names_and_reasons_are_shown_as_text(client: Client) -> None:
    for answer in (
        client.get("/"),
        client.get("/breaker", {"namespace": "web", "name": HOSTILE}),
        client.get("/confirm", {"namespace": HOSTILE, "name": HOSTILE, "action": "close", "reason": HOSTILE}),
        client.get("/", {"q": HOSTILE}),
    ):
        assert "<script>alert" not in answer.text
        assert "onerror" not in answer.text


def test_the_list_has_pages_of_a_hundred_breakers(client: Client, store: SqlStore) -> None:
    for number in range(150):
        store.record_failure(f"many-{number:03}", POLICY)
    first, second = client.get("/", {"q": "many"}).text, client.get("/", {"q": "many", "page": "2"}).text
    assert (len(names(first)), len(names(second))) == (100, 50)
    assert "Page 2 of 2, 150 breakers" in words(second)
    assert set(names(first)).isdisjoint(names(second))
    assert names(client.get("/", {"q": "many", "page": "3"}).text) == []


def test_the_wsgi_and_asgi_applications_give_the_same_answers(store: SqlStore) -> None:
    wsgi, asgi = (Client(store, colour=colour, prefix="/ops") for colour in ("wsgi", "asgi"))
    for path, query in (
        ("/", {}),
        ("/breaker", {"namespace": "web", "name": HOSTILE}),
        ("/static/panel.css", {}),
        ("/nowhere", {}),
        ("", {}),
    ):
        one, two = wsgi.get(path, query), asgi.get(path, query)
        assert one.status == two.status
        # The pages differ in the setting for events and in the ages.
        assert len(one.body) == pytest.approx(len(two.body), abs=400)
        assert set(one.headers) == set(two.headers)


def test_links_contain_the_prefix(store: SqlStore) -> None:
    text = Client(store, prefix="/ops/breakers", actions=True).get("/").text
    links = re.findall(r'(?:href|src|action|data-live)="([^"]*)"', text)
    assert [link for link in links if not link.startswith(("/ops/breakers/", "#", "?"))] == []
    assert Client(store, prefix="/ops").get("").headers["location"] == "/ops/"


def test_an_unchanged_page_is_not_sent_again(client: Client, store: SqlStore) -> None:
    first = client.get("/live")
    etag = first.headers["etag"]
    assert (first.status, client.get("/live", headers={"if-none-match": etag}).status) == (200, 304)
    fresh = Client(store)
    store.record_failure("payments", POLICY)
    assert fresh.get("/live", headers={"if-none-match": etag}).status == 200


def test_the_last_page_is_shown_with_the_error_if_the_store_stops_answering(
    client: Client, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "payments" in client.get("/").text
    monkeypatch.setattr(client.application._panel.settings.reader, "_clock", lambda: 1e12)
    monkeypatch.setattr(store, "_execute", _refuse)
    text = words(client.get("/").text)
    assert "The breaker store did not answer" in text
    assert "What you see is the last answer." in text
    assert "payments" in text
    assert "hunter2" not in text


def _refuse(query: object) -> list[tuple[object, ...]]:
    raise StoreUnavailableError("table breakers: the database cannot be reached") from OSError("hunter2")
