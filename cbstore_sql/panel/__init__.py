"""A web panel for the breakers of a database: to mount in an application, or to serve with ``cbstore panel``.

`panel_asgi` makes an ASGI application (Starlette, FastAPI, Litestar), `panel_wsgi` a WSGI one (Django, Flask). Both
need no framework, and serve their own style sheet and script.

===============  ====================================================================
`asgi`, `wsgi`   the two applications; `setup` makes a panel from their arguments
`app`            what the panel answers, without a web server
`messages`       requests and responses, independent of ASGI and WSGI
`access`         who may look, who may act, and whether a request was made on purpose
`actions`        what can be done to a breaker
`views`          which breakers a page shows, in which order
`source`, `sql`  where pages come from: one statement each on SQL
`reader`         one reader for each process, however many tabs are open
`streams`        the events that tell a tab to look again
`pages`, `rows`  the pages and their tables as HTML
`html`           HTML that is escaped by default
===============  ====================================================================
"""

from __future__ import annotations

from cbstore_sql.panel.access import Access, PanelRequest
from cbstore_sql.panel.asgi import panel_asgi
from cbstore_sql.panel.wsgi import panel_wsgi

__all__ = ["Access", "PanelRequest", "panel_asgi", "panel_wsgi"]
