"""Tests in a real Chromium: live updates, actions, no script, keyboard, screen reader, and layout."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cbstore_sql import SqlStore, State
from tests.cli.running import started
from tests.panel.conftest import HOSTILE, POLICY

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.parametrize("store", ["postgres"], indirect=True)

PATIENCE = 60_000
"""Milliseconds; nothing is expected to take that long."""

# Set this variable to docs/ to renew the pictures of the documentation.
PICTURES = os.environ.get("CBSTORE_TEST_PICTURES")


@contextlib.contextmanager
def panel(folder: Path, store: SqlStore, *arguments: str) -> Iterator[str]:
    """Run ``cbstore panel`` over the database of a store, yield its address, and end it with a signal."""
    url = store._engine.url.render_as_string(hide_password=False)
    with started(
        folder, "panel", "--url", url, "--schema", store._queries.schema, "--port", "0", *arguments
    ) as process:
        assert process.stdout
        found = re.fullmatch(r"panel on (http://127\.0\.0\.1:\d+)/\n", process.stdout.readline())
        assert found
        yield found[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0


@pytest.fixture
def address(store: SqlStore, tmp_path: Path) -> Iterator[str]:
    with panel(tmp_path, store, "--actions", "--by", "carol") as address:
        yield address


@contextlib.contextmanager
def tab(browser: Browser, **options: Any) -> Iterator[Page]:
    """Yield a new tab. Each message of the browser's console fails the test."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    try:
        yield page
    finally:
        context.close()
    assert complaints == []


def violations(page: Page) -> list[str]:
    """Return the accessibility problems that axe-core finds."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]]


def row(page: Page, name: str) -> Any:
    return page.locator("tr", has=page.get_by_role("link", name=name, exact=True))


def test_a_change_appears_without_a_reload_and_is_announced(browser: Browser, address: str, store: SqlStore) -> None:
    with tab(browser) as page:
        page.goto(address)
        page.wait_for_selector("body[data-connected=events]")
        store.record_failure("late", POLICY, failures=3)
        row(page, "late").get_by_text("open", exact=True).wait_for()
        page.locator("#announce", has_text="4 open").wait_for(state="attached")


def test_without_events_the_page_polls_the_server(browser: Browser, address: str, store: SqlStore) -> None:
    with tab(browser) as page:
        page.add_init_script("delete window.EventSource")
        page.goto(address)
        row(page, "payments").wait_for()
        store.record_failure("late", POLICY, failures=3)
        row(page, "late").get_by_text("open", exact=True).wait_for()


def test_the_focus_stays_on_its_element_when_the_list_changes(browser: Browser, address: str, store: SqlStore) -> None:
    with tab(browser) as page:
        page.goto(address)
        page.wait_for_selector("body[data-connected=events]")
        page.get_by_role("link", name="mail", exact=True).focus()
        store.record_failure("late", POLICY, failures=3)
        row(page, "late").wait_for()
        assert page.evaluate("document.activeElement.textContent") == "mail"


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_breaker_is_locked_with_the_keyboard_and_unlocked(
    script: bool, browser: Browser, address: str, store: SqlStore
) -> None:
    with tab(browser, java_script_enabled=script) as page:
        page.goto(address)
        page.get_by_role("link", name="payments", exact=True).focus()
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="payments").wait_for()
        page.get_by_label("Reason").focus()
        page.keyboard.type("double charges")
        page.keyboard.press("Tab")
        page.keyboard.press("Control+A")
        page.keyboard.type("10m")
        page.get_by_role("button", name="Lock open").focus()
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Lock open payments?").wait_for()
        assert page.get_by_text("for 10 min").is_visible()
        page.get_by_role("button", name="Yes, lock open").press("Enter")
        page.get_by_text("The breaker was locked open.").wait_for()
        assert page.get_by_text(re.compile("locked open, (10 min|9 min [0-9]+ s) left")).is_visible()
        assert (store.read("payments").active_override, store.read("payments").override_by) == ("open", "carol")
        page.get_by_label("Reason").fill("over")
        page.get_by_role("button", name="Unlock").click()
        page.get_by_role("button", name="Yes, unlock").click()
        page.get_by_text("The lock was removed.").wait_for()
        assert store.read("payments").active_override == ""


def test_a_form_of_another_site_changes_nothing(
    browser: Browser, address: str, store: SqlStore, tmp_path: Path
) -> None:
    form = (
        f'<form method="post" action="{address}/act"><input name="namespace" value="web">'
        '<input name="name" value="payments"><input name="action" value="close"><input name="reason" value="x">'
        "<button>go</button></form>"
    )
    (tmp_path / "evil.html").write_text(form)
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"file://{tmp_path}/evil.html")
    with page.expect_response(lambda answer: answer.url.endswith("/act")) as refused:
        page.get_by_role("button").click()
    assert refused.value.status == 403
    context.close()
    assert store.read("payments").state is State.OPEN


def test_a_hostile_name_is_shown_as_text_on_every_page(browser: Browser, address: str) -> None:
    with tab(browser) as page:
        page.goto(address)
        page.get_by_role("link", name=HOSTILE, exact=True).click()
        page.get_by_role("heading", name=HOSTILE).wait_for()
        page.get_by_label("Reason").fill(HOSTILE)
        page.get_by_role("button", name="Close", exact=True).click()
        page.get_by_role("button", name="Yes, close").click()
        page.get_by_text("The circuit was closed.").wait_for()


LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1200, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1200, "height": 800}},
    "narrow": {"color_scheme": "light", "viewport": {"width": 390, "height": 800}},
}


def shrink(picture: Path) -> None:
    """Reduce the colours of a picture, so that the pictures of the documentation stay small."""
    from PIL import Image

    with Image.open(picture) as image:
        image.convert("RGB").quantize(48).save(picture, optimize=True)


@pytest.mark.parametrize("look", LOOKS)
def test_pages_are_accessible_and_fit_the_window(
    look: str, browser: Browser, address: str, store: SqlStore, tmp_path: Path
) -> None:
    folder = Path(PICTURES or tmp_path)
    store.clear(HOSTILE)
    query = "namespace=web&name=payments"
    pages = {"list": "/", "breaker": f"/breaker?{query}", "confirm": f"/confirm?{query}&action=close&reason=fixed"}
    with tab(browser, **LOOKS[look]) as page:
        for kind, path in pages.items():
            page.goto(f"{address}{path}")
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), kind
            picture = folder / f"panel-{kind}-{look}.png"
            page.screenshot(path=picture, full_page=True)
            if PICTURES:
                shrink(picture)


def test_the_error_and_login_pages_are_accessible(
    browser: Browser, store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CBSTORE_PANEL_TOKEN", "0123456789abcdef0123")
    with panel(tmp_path, store) as address:
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        assert violations(page) == []
        page.get_by_label("Token").fill("0123456789abcdef0123")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="payments", exact=True).wait_for()
        page.goto(f"{address}/nowhere")
        assert violations(page) == []
        context.close()
