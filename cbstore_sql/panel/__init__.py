"""A web panel for the breakers of a database: mount it in an application, or serve it with ``cbstore panel``.

`panel_asgi` makes an ASGI application (Starlette, FastAPI, Litestar). `panel_wsgi` makes a WSGI application (Django,
Flask). Neither needs a web framework. The panel serves its style sheet and its script itself.

===============  ====================================================================
`asgi`, `wsgi`   the two applications
`setup`          makes a panel from the arguments of the applications
`app`            the panel's answers to requests, independent of the web server
`messages`       requests and responses, independent of ASGI and WSGI
`access`         which request may read or act, and which POST comes from the panel
`actions`        the changes that a user can make to a breaker
`views`          which breakers a page shows, and in which order
`source`, `sql`  the sources of pages: an SQL store reads a page with one statement
`reader`         one reader for all open tabs of a process
`streams`        the events that tell a tab to read its page again
`pages`, `rows`  the pages and their tables as HTML
`html`           a builder of HTML that escapes every text by default
===============  ====================================================================
"""

from __future__ import annotations

from cbstore_sql.panel.access import Access, PanelRequest
from cbstore_sql.panel.asgi import panel_asgi
from cbstore_sql.panel.wsgi import panel_wsgi

__all__ = ["Access", "PanelRequest", "panel_asgi", "panel_wsgi"]
