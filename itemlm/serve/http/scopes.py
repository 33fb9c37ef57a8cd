"""Scopes: what a key must be allowed to do for each route.

A scope includes those before it: read < write < admin. The table is read from the top, and what it
does not name may be read with `read` and done with `admin`, so that a route that somebody forgets
to add is closed rather than open.
"""

from __future__ import annotations

from itemlm.serve.http.exchange import is_below

SCOPES = ("read", "write", "admin")
LOGIN = "/login"
OPEN_FORMS = (LOGIN, "/logout")
HEALTH = ("/healthz", "/readyz")
NOT_PAGES = ("/v1/", "/metrics/", "/healthz/", "/readyz/")
READS = frozenset({"GET", "HEAD"})
ANY = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# Methods, paths (each with all below it), scope; None is open to all.
TABLE: tuple[tuple[frozenset[str], tuple[str, ...], str | None], ...] = (
    (ANY, ("/healthz/", "/readyz/"), None),
    (ANY, ("/login/", "/logout/"), None),
    (READS, ("/static/",), None),  # the files of the login form among them; no data
    # What people did is personal, to read and to delete; the page shows it after /visit.
    (ANY, ("/v1/users/", "/visit/"), "admin"),
    (frozenset({"POST"}), ("/v1/events/",), "write"),
    (READS, ("/v1/events/",), "admin"),
    (ANY - READS, ("/v1/items/",), "write"),
    (
        frozenset({"POST"}),  # questions that are too long for a query
        ("/v1/recommend/", "/v1/similar/", "/v1/search/", "/v1/rank/", "/v1/explain/"),
        "read",
    ),
)


def required_scope(method: str, path: str) -> str | None:
    """The scope that a request needs, or None if it needs no key."""
    for methods, folders, scope in TABLE:
        if method in methods and is_below(path, folders):
            return scope
    return "read" if method in READS else "admin"


def is_page(path: str) -> bool:
    """Whether people look at this path in a browser, which can send a cookie but no header."""
    return not is_below(path, NOT_PAGES)
