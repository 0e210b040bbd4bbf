"""The pages of the panel as HTML."""

from __future__ import annotations

from urllib.parse import urlencode

from cbstore_sql.core.explanation import explain
from cbstore_sql.core.wording import printable
from cbstore_sql.panel.access import Access
from cbstore_sql.panel.actions import ACTIONS, Order
from cbstore_sql.panel.html import Markup, join, tag
from cbstore_sql.panel.messages import PanelRequest, Response
from cbstore_sql.panel.reader import Reading
from cbstore_sql.panel.rows import breakers_table, facts, history_table, override_words, state_badge
from cbstore_sql.panel.source import Entry, Page
from cbstore_sql.panel.views import FILTERS, SORTS, View

_FILTER_LABELS = {
    "": "All states",
    "open": "Open",
    "half_open": "Half open",
    "closed": "Closed",
    "override": "With an override",
}


def list_page(request: PanelRequest, view: View, reading: Reading, *, events: bool) -> Response:
    """Return the page with the list of breakers.

    Args:
        request: The request.
        view: The filter, the order and the page number.
        reading: The breakers to show.
        events: Whether the server sends an event to the tab when the page changes. If ``False``, the tab asks the
            server every few seconds.
    """
    main = (tag("h1", "Circuit breakers"), _filters(request, view), _live(request, view, reading))
    return _document(request, "Circuit breakers", main, view=view, events=events)


def breaker_page(request: PanelRequest, view: View, reading: Reading, *, access: Access, events: bool) -> Response:
    """Return the page of one breaker.

    Args:
        request: The request.
        view: The view whose `View.exact` names this breaker.
        reading: The breaker to show.
        access: The rights of the request. With `Access.ACT`, the page has a form with actions.
        events: Whether the server sends an event to the tab when the page changes. If ``False``, the tab asks the
            server every few seconds.
    """
    namespace, name = view.exact or ("", "")
    done = next((action.done for action in ACTIONS.values() if action.key == request.query.get("done")), None)
    main = (
        _breadcrumb(request),
        tag("h1", printable(name), " ", tag("small", f"in {printable(namespace)}")),
        tag("p", done, class_="done", role="status") if done else None,
        _live(request, view, reading),
        _action_form(request, namespace, name) if access is Access.ACT else None,
    )
    return _document(request, printable(name), main, view=view, events=events)


def confirm_page(request: PanelRequest, order: Order) -> Response:
    """Return the page that asks the user to confirm an action on a breaker.

    Args:
        request: The request.
        order: The action, with its breaker and its duration.
    """
    action = ACTIONS[order.action]
    given = {
        "namespace": order.namespace,
        "name": order.name,
        "action": order.action,
        "reason": order.reason,
        "for": request.query.get("for", "") if action.lasts else "",
    }
    back = f"{request.prefix}/breaker?{urlencode({'namespace': order.namespace, 'name': order.name})}"
    main = (
        tag("h1", f"{action.label} {printable(order.name)}?"),
        tag("p", f"This {action.effect}."),
        tag(
            "dl",
            tag("dt", "Breaker"),
            tag("dd", f"{printable(order.name)} in {printable(order.namespace)}"),
            (tag("dt", "How long"), tag("dd", order.time or "until it is unlocked")) if action.lasts else None,
            tag("dt", "Reason"),
            tag("dd", order.reason),
        ),
        tag(
            "form",
            [tag("input", type="hidden", name=key, value=value) for key, value in given.items()],
            tag("button", f"Yes, {action.label.lower()}", type="submit", class_="danger"),
            tag("a", "Cancel", href=back, class_="button"),
            method="post",
            action=f"{request.prefix}/act",
            class_="buttons",
        ),
    )
    return _document(request, f"{action.label} {printable(order.name)}?", main)


def login_page(request: PanelRequest, status: int, *, wrong: bool = False) -> Response:
    """Return the page that asks the user for the token.

    Args:
        request: The request.
        status: The HTTP status of the response.
        wrong: Whether the page also says that the previous token was wrong.
    """
    main = (
        tag("h1", "Circuit breakers"),
        tag("p", "This token is not right.", class_="trouble", role="alert") if wrong else None,
        tag(
            "form",
            tag("label", "Token", for_="token"),
            tag("input", type="password", name="token", id="token", autocomplete="current-password", required=True),
            tag("button", "Sign in", type="submit"),
            method="post",
            action=f"{request.prefix}/login",
            class_="login",
        ),
    )
    return _document(request, "Sign in", main, status=status)


def error_page(request: PanelRequest, status: int, text: str) -> Response:
    """Return a page with an error message.

    Args:
        request: The request.
        status: The HTTP status of the response.
        text: The error message.
    """
    main = (
        tag("h1", str(status)),
        tag("p", printable(text), class_="trouble", role="alert"),
        tag("p", tag("a", "All breakers", href=f"{request.prefix}/")),
    )
    return _document(request, f"Error {status}", main, status=status)


def live_part(request: PanelRequest, view: View, reading: Reading) -> Markup:
    """Return the part of a page that changes when the breakers change.

    Args:
        request: The request.
        view: The filter, the order and the page number, or one breaker.
        reading: The breakers to show.
    """
    if reading.page is None:
        return _trouble(reading)
    if view.exact is not None:
        entries = reading.page.entries
        return join((_trouble(reading), _one(entries[0]) if entries else tag("p", "The breaker was forgotten.")))
    page = reading.page
    return join((_trouble(reading), _summary(page), breakers_table(request.prefix, page), _pager(view, page)))


def _document(  # everything in which pages differ
    request: PanelRequest,
    title: str,
    main: object,
    *,
    status: int = 200,
    view: View | None = None,
    events: bool = False,
) -> Response:
    query = view.query() if view else ""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · circuit breakers" if title != "Circuit breakers" else title),
        tag("link", rel="icon", href=f"{request.prefix}/static/panel.svg", type="image/svg+xml"),
        tag("link", rel="stylesheet", href=f"{request.prefix}/static/panel.css"),
        tag("script", src=f"{request.prefix}/static/panel.js", defer=True) if view else None,
    )
    body = tag(
        "body",
        tag("a", "Skip to content", href="#main", class_="skip"),
        tag("main", main, id="main"),
        data_live=f"{request.prefix}/live?{query}" if view else None,
        data_events=f"{request.prefix}/events?{query}" if view and events else None,
    )
    return Response(status, f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}".encode())


def _live(request: PanelRequest, view: View, reading: Reading) -> Markup:
    return join(
        (
            tag("div", live_part(request, view, reading), id="live", data_etag=reading.etag),
            tag("p", id="announce", role="status", class_="hidden"),
        )
    )


def _trouble(reading: Reading) -> Markup:
    if not reading.trouble:
        return Markup("")
    since = "" if reading.page is None else " What you see is the last answer."
    return tag("p", f"The breaker store did not answer: {reading.trouble}.{since}", class_="trouble", role="alert")


def _summary(page: Page) -> Markup:
    counts = [
        tag("li", tag("b", page.totals[state]), f" {label}", class_=state)
        for state, label in (("open", "open"), ("half_open", "half open"), ("closed", "closed"))
    ]
    counts.append(tag("li", tag("b", page.totals["override"]), " with an override", class_="override"))
    return tag("ul", counts, class_="summary")


def _filters(request: PanelRequest, view: View) -> Markup:
    def options(labels: dict[str, str], chosen: str) -> list[Markup]:
        return [tag("option", label, value=key, selected=key == chosen) for key, label in labels.items()]

    return tag(
        "form",
        tag("label", "Name or namespace", for_="q"),
        tag("input", type="search", name="q", id="q", value=view.text, maxlength=200),
        tag("label", "State", for_="state"),
        tag("select", options({key: _FILTER_LABELS[key] for key in FILTERS}, view.state), name="state", id="state"),
        tag("label", "Order", for_="sort"),
        tag("select", options(SORTS, view.sort), name="sort", id="sort"),
        tag("button", "Show", type="submit"),
        method="get",
        action=f"{request.prefix}/",
        class_="filters",
        role="search",
        aria_label="Filter the breakers",
    )


def _pager(view: View, page: Page) -> Markup:
    if page.pages == 1:
        return Markup("")
    before = tag("a", "Previous", href=f"?{view.query(page=view.page - 1)}", rel="prev") if view.page > 1 else None
    after = tag("a", "Next", href=f"?{view.query(page=view.page + 1)}", rel="next") if view.page < page.pages else None
    where = tag("span", f"Page {view.page} of {page.pages}, {page.matched} breakers")
    return tag("nav", before, where, after, class_="pager", aria_label="Pages")


def _breadcrumb(request: PanelRequest) -> Markup:
    return tag("nav", tag("a", "All breakers", href=f"{request.prefix}/"), aria_label="Breadcrumb")


def _one(entry: Entry) -> Markup:
    snapshot = entry.snapshot
    return join(
        (
            tag("p", override_words(snapshot), " ", state_badge(snapshot), class_="states"),
            tag("ul", [tag("li", sentence) for sentence in explain(snapshot, entry.history)], class_="why"),
            facts(snapshot),
            history_table(entry),
        )
    )


def _action_form(request: PanelRequest, namespace: str, name: str) -> Markup:
    buttons = [
        tag("button", action.label, type="submit", name="action", value=action.key) for action in ACTIONS.values()
    ]
    return tag(
        "section",
        tag("h2", "Act", id="act"),
        tag(
            "form",
            tag("input", type="hidden", name="namespace", value=namespace),
            tag("input", type="hidden", name="name", value=name),
            tag("label", "Reason", for_="reason"),
            tag("input", name="reason", id="reason", required=True, maxlength=200),
            tag("label", "For how long (10m, 1h30m; empty for a lock without an end)", for_="for"),
            tag("input", name="for", id="for", value="10m", maxlength=20),
            tag("div", buttons, class_="buttons", role="group", aria_label="What to do"),
            method="get",
            action=f"{request.prefix}/confirm",
        ),
        aria_labelledby="act",
        class_="act",
    )
