"""Tests of the access control. Each kind of attack has a test."""

from __future__ import annotations

from typing import Any

import pytest

from cbstore_sql import ConfigurationError, SqlStore, State
from cbstore_sql.panel import Access, PanelRequest
from tests.panel.conftest import HOSTILE
from tests.panel.requests import HOST, LOCAL, MEANT, Client

TOKEN = "0123456789abcdef0123"
CLOSE = {"namespace": "web", "name": "payments", "action": "close", "reason": "fixed"}
COLOURS = pytest.mark.parametrize("colour", ["wsgi", "asgi"])


def is_open(store: SqlStore, name: str = "payments") -> bool:
    return store.read(name).state is State.OPEN


@COLOURS
def test_a_user_on_this_machine_can_act_with_actions_enabled(store: SqlStore, colour: str) -> None:
    client = Client(store, colour=colour, actions=True)
    answer = client.post("/act", CLOSE)
    assert (answer.status, is_open(store)) == (303, False)
    after = client.get("/breaker", {"namespace": "web", "name": "payments", "done": "close"}).text
    assert "The circuit was closed." in after
    assert "payments is closed: calls pass." in after


@COLOURS
def test_without_actions_every_user_can_only_read(store: SqlStore, colour: str) -> None:
    client = Client(store, colour=colour)
    assert client.post("/act", CLOSE).status == 403
    assert client.get("/confirm", CLOSE).status == 403
    assert "<form" not in client.get("/breaker", {"namespace": "web", "name": "payments"}).text
    assert is_open(store)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-site", "origin": "http://other.localhost:9465"},
        {"sec-fetch-site": "none", "origin": f"http://{HOST}"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "same-origin", "origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": f"https://{HOST}.evil.example"},
        {"origin": "http://localhost:1"},
        {"origin": HOST},
        {"origin": f"javascript://{HOST}"},
        {"referer": f"http://{HOST}/"},
        {},
    ],
    ids=str,
)
@COLOURS
def test_a_post_that_does_not_come_from_a_page_of_the_panel_is_refused(
    headers: dict[str, str], colour: str, store: SqlStore
) -> None:
    assert Client(store, colour=colour, actions=True).post("/act", CLOSE, headers).status == 403
    assert is_open(store)


def test_origins_accepts_posts_behind_a_proxy_that_changes_the_host(store: SqlStore) -> None:
    client = Client(store, actions=True, origins=["https://ops.example.com/"])
    assert client.post("/act", CLOSE, {"origin": "https://ops.example.com"}).status == 303
    assert client.post("/act", CLOSE, {"origin": "https://ops.example.com.evil"}).status == 403


def test_an_action_by_get_is_refused(client: Client, store: SqlStore) -> None:
    assert client.get("/act", CLOSE).status == 404
    assert is_open(store)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "OPTIONS", "post "])
def test_other_methods_are_refused(method: str, client: Client) -> None:
    assert client._wsgi(method, "/act", "", b"", LOCAL, {"host": HOST, **MEANT}).status == 405


@pytest.mark.parametrize("address", ["10.0.0.7", "", "::ffff:10.0.0.7", "128.0.0.1", "localhost.evil.example", "x"])
@COLOURS
def test_a_request_from_another_address_is_refused_without_a_token(address: str, colour: str, store: SqlStore) -> None:
    client = Client(store, colour=colour, actions=True)
    for answer in (client.get("/", client=address), client.post("/act", CLOSE, client=address)):
        assert answer.status == 403
        assert "payments" not in answer.text
    assert client.get("/events", client=address).status == 403
    assert is_open(store)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9465", "", "127.0.0.1.evil.example", "[::1", "10.0.0.1"]
)
def test_a_foreign_host_name_that_resolves_to_this_machine_is_refused(
    host: str, client: Client, store: SqlStore
) -> None:
    headers = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
    assert client.get("/", headers={"host": host}).status == 403
    assert client.post("/act", CLOSE, headers).status == 403
    assert is_open(store)


@pytest.mark.parametrize("host", ["127.0.0.1:9465", "[::1]:9465", "LOCALHOST", "localhost"])
def test_every_loopback_name_and_address_is_admitted(host: str, client: Client) -> None:
    assert client.get("/", headers={"host": host}).status == 200
    assert client.get("/", client="::1").status == 200
    assert client.get("/", client="::ffff:127.0.0.1").status == 200


@COLOURS
def test_only_the_token_gives_access_from_any_address(store: SqlStore, colour: str) -> None:
    client = Client(store, colour=colour, actions=True, token=TOKEN)
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"cookie": "cbstore_panel=x"}):
        for address in (LOCAL, "10.0.0.7"):
            answer = client.get("/", client=address, headers=headers)
            assert answer.status == 401
            assert "payments" not in answer.text
    assert client.get("/", client="10.0.0.7", headers={"authorization": f"Bearer {TOKEN}"}).status == 200


@COLOURS
def test_the_login_sets_a_cookie_that_is_httponly_and_samesite(store: SqlStore, colour: str) -> None:
    client = Client(store, colour=colour, prefix="/ops", actions=True, token=TOKEN)
    wrong = client.post("/login", {"token": "wrong"}, client="10.0.0.7")
    assert (wrong.status, "set-cookie" in wrong.headers) == (401, False)
    right = client.post("/login", {"token": TOKEN}, client="10.0.0.7")
    cookie = right.headers["set-cookie"]
    assert right.status == 303
    assert TOKEN not in cookie
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/ops/"))
    value = cookie.partition(";")[0]
    assert client.get("/", client="10.0.0.7", headers={"cookie": f"other=1; {value}"}).status == 200
    another = Client(store, colour=colour, prefix="/ops", actions=True, token=TOKEN)
    assert another.post("/act", CLOSE, {**MEANT, "cookie": value}, client="10.0.0.7").status == 303


def test_a_login_from_another_site_is_refused(store: SqlStore) -> None:
    client = Client(store, token=TOKEN)
    assert client.post("/login", {"token": TOKEN}, {"origin": "https://evil.example"}).status == 403


@pytest.mark.parametrize(
    ("answer", "looks", "acts"),
    [
        ("none", 403, 403),
        ("read", 200, 403),
        ("act", 200, 303),
        (Access.ACT, 200, 303),
        (None, 403, 403),
        (True, 403, 403),
        ("admin", 403, 403),
        (2, 403, 403),
    ],
)
@COLOURS
def test_authorize_decides_the_access(answer: Any, looks: int, acts: int, colour: str, store: SqlStore) -> None:
    asked: list[PanelRequest] = []

    def authorize(request: PanelRequest) -> Any:
        asked.append(request)
        return answer

    client = Client(store, colour=colour, actions=True, authorize=authorize, who=lambda request: request.client)
    assert client.get("/", client="10.0.0.7").status == looks
    assert client.post("/act", CLOSE, client="10.0.0.7").status == acts
    assert asked[0].client == "10.0.0.7"
    assert asked[0].native


def test_authorize_cannot_allow_disabled_actions(store: SqlStore) -> None:
    assert Client(store, authorize=lambda request: "act").post("/act", CLOSE).status == 403


def test_the_asgi_application_awaits_authorize(store: SqlStore) -> None:
    async def authorize(request: PanelRequest) -> str:
        return "read"

    assert Client(store, colour="asgi", authorize=authorize).get("/", client="10.0.0.7").status == 200
    assert Client(store, colour="wsgi", authorize=authorize).get("/", client="10.0.0.7").status == 403


def test_the_history_names_the_person_who_acted(store: SqlStore) -> None:
    Client(store, actions=True, who="carol").post("/act", CLOSE)
    assert store.history("payments")[-1].by == "carol"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/",
        "/static/panel.css/",
        "/static//etc/passwd",
        "//evil.example",
        "/../",
        "/breaker/../act",
        "/\x00",
        "/ops/",
    ],
)
@pytest.mark.parametrize("prefix", ["", "/ops"])
@COLOURS
def test_hostile_paths_are_not_found(path: str, prefix: str, colour: str, store: SqlStore) -> None:
    answer = Client(store, colour=colour, prefix=prefix).get(path)
    assert answer.status == 404
    assert "location" not in answer.headers


def test_a_hostile_prefix_is_escaped(store: SqlStore) -> None:
    assert '"><script>' not in Client(store, prefix='/"><script>x</script>').get("/").text


@COLOURS
def test_every_answer_has_a_strict_content_security_policy(store: SqlStore, colour: str) -> None:
    client = Client(store, colour=colour, actions=True)
    answers = [client.get(path) for path in ("/", "/static/panel.js", "/nowhere", "/live", "")]
    for answer in [*answers, client.get("/", client="10.0.0.7"), client.post("/act", {}, {})]:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "style=" not in answers[0].text
    assert "onclick" not in answers[0].text


@COLOURS
def test_a_long_body_is_refused(store: SqlStore, colour: str) -> None:
    assert Client(store, colour=colour, actions=True).post("/act", {"reason": "x" * 20_000}).status == 413


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reason": " "}, "give a reason"),
        ({"action": "drop"}, "choose what to do"),
        ({"action": "open"}, "say for how long"),
        ({"action": "open", "for": "10"}, "such as 10m"),
        ({"action": "lock-open", "for": "-1m"}, "such as 10m"),
        ({"action": "lock-open", "for": "0s"}, "more than 0"),
        ({"action": "lock-open", "reason": "x" * 300}, "reason"),
    ],
)
def test_an_invalid_order_is_refused_with_the_remedy(
    change: dict[str, str], words: str, client: Client, store: SqlStore
) -> None:
    answer = client.post("/act", {**CLOSE, **change})
    assert answer.status == 400
    assert words in answer.text
    assert is_open(store)


@pytest.mark.parametrize("action", ["open", "close", "lock-open", "unlock"])
@pytest.mark.parametrize("name", ["paymenst", HOSTILE * 2, "x" * 600])
def test_an_action_on_an_unknown_name_creates_no_breaker(
    action: str, name: str, client: Client, store: SqlStore
) -> None:
    before = len(store.read_all())
    answer = client.post("/act", {**CLOSE, "name": name, "action": action, "for": "10m"})
    assert answer.status in (400, 503)
    assert len(store.read_all()) == before


def test_each_action_has_its_effect(client: Client, store: SqlStore) -> None:
    def act(action: str, **more: str) -> None:
        assert client.post("/act", {**CLOSE, "action": action, **more}).status == 303

    act("lock-closed", **{"for": "10m"})
    locked = store.read("payments")
    assert (locked.active_override, locked.override_reason) == ("closed", "fixed")
    assert 590 < locked.override_until - locked.as_of <= 600
    act("unlock")
    assert store.read("payments").active_override == ""
    act("lock-shadow")
    assert store.read("payments").override_until == 0.0
    act("close")
    act("open", **{"for": "2h"})
    assert 7190 < store.read("payments").retry_after <= 7200


def test_an_action_can_change_a_breaker_of_another_namespace(client: Client, store: SqlStore) -> None:
    other = store._for_namespace("batch/ü")
    other.force_open("payments", 3600)
    assert client.post("/act", {**CLOSE, "namespace": "batch/ü"}).status == 303
    assert other.read("payments").state is State.CLOSED
    assert is_open(store)


@pytest.mark.parametrize(
    "settings",
    [
        {"token": "short"},
        {"token": TOKEN, "authorize": lambda request: "read"},
        {"period": 0},
        {"period": float("nan")},
    ],
    ids=["short-token", "token-and-authorize", "no-period", "nan-period"],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], store: SqlStore) -> None:
    with pytest.raises(ConfigurationError):
        Client(store, **settings)


def test_a_store_that_cannot_be_listed_is_refused() -> None:
    from cbstore_sql import InMemoryStore

    with pytest.raises(ConfigurationError, match="PostgreSQL, SQLite or Redis"):
        Client(InMemoryStore())
