"""Hostile requests as bytes: what careless programs and curious strangers send.

Nothing here is random, so that every finding can be repeated by its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
STRINGS = {
    "SQL": "'; DROP TABLE events; --",
    "SQL or": "x' OR '1'='1",
    "script": "<script>alert(1)</script>",
    "template": "{{7*7}}${7*7}#{7*7}",
    "shell": "$(cat /etc/passwd)`id`|id",
    "path": "../../../../etc/passwd",
    "file": "file:///etc/passwd",
    "python": "__import__('os').system('id')",
    "dunder": "__class__.__init__.__globals__",
    "format": "%s%s%s%n{0.__class__}",
    "NUL": "a\x00b",
    "controls": "\x01\x02\x1b[31m\r\nX: y",
    "right to left": "\u202egnp.exe",
    "combining": "Z" + "\u0301" * 300,
    "not a character": "\uffff\ufdd0",
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 20,
    "empty": "",
    "blank": "   ",
    "long": "a" * 100_000,
    "regular expression": "(a+)+$" * 50,
    "wildcards": "%_*?" * 50,
}
# Written as they stand, since no JSON writer would.
NUMBERS = (
    *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e-999", "-0", "0", "-1", "1.5"),
    *("9" * 400, "9223372036854775808", "-9223372036854775809", "1e18", "true", "null"),
    *('"10"', "[]", "{}", "[1]", "0x10", "01", "+1", ".5", "1_000"),
)
PATHS = (
    *("/static/../../etc/passwd", "/static/..%2f..%2fetc%2fpasswd", "/static/%2e%2e/%2e%2e/etc"),
    *("/static/%252e%252e%252fetc", "/static//etc/passwd", "/static/..\\..\\etc\\passwd"),
    *("/static/%00", "/static/app.css%00.png", "/static/.", "/static/", "/static"),
    *("/v1/items/../../etc/passwd", "/v1/items/%2e%2e%2f%2e%2e", "/v1/items/%ff%fe", "/v1/items/"),
    *("/v1/items/" + "a" * 5000, "/v1/items/%00", "/v1/users/%0d%0aX: y", "/v1/users/.."),
    *("/v1/users/" + "%F0%9F%98%80" * 100, "/v1/explain/" + "x" * 64, "/v1/explain/..%2f"),
    *("/items/%3Cscript%3Ealert(1)%3C/script%3E", "/?history=%3Cscript%3E", "/?q=%00", "/?k=1e999"),
    *("/?k=-5", "/?filter='", "/?history=" + "item-1," * 500, "/?" + "a=b&" * 2000),
    *(
        "/tree?prefix=../..",
        "/tree?prefix=999999999999999999999",
        "/map?model=../..",
        "/map?model=",
    ),
    *(
        "/visit?user=%00",
        "/suggest?q=" + "%ff" * 100,
        "/login?next=//evil.example",
        "/surprise?k=x",
    ),
    *("/login?next=https://evil.example/", "/health?x=%", "/models/activate", "/%", "/%zz", "//"),
    *("/docs/../etc", "/openapi.json?x=../", "/metrics/..", "/.git/config", "/.env", "/service.db"),
    *(
        "/v1/items?limit=1e999",
        "/v1/items?limit=-1",
        "/v1/items?cursor=" + "9" * 200,
        "/v1/items?cursor=-1",
    ),
    *("/v1/items?filter=" + quote("price <"), "/v1/items?filter=" + quote("((((" * 200)),
    *("/v1/users/ann?cursor=1-99999999999999999999", "/v1/users/ann?limit=0", "/v1/models/../x"),
    *("/v1/items?limit=1001", "/v1/users/ann?cursor=--", "/v1/items?cursor=%C2%B2"),
)
FILTERS = (
    *("", " ", "'", "price", "price <", "price < 'a'", "price < 1e999", "price == NaN", "1 == 1"),
    *(
        "nothing == 1",
        "title in 5",
        "5 in price",
        "title == title",
        "not",
        "price and",
        "a.b.c == 1",
    ),
    *("price < " + "9" * 1000, "(" * 900 + "price < 1" + ")" * 900, "not " * 400 + "price < 1"),
    *("lambda: 0", "[x for x in price]", "title.str.len() > 1", "f'{title}' == ''", "price := 1"),
    *(
        "__import__('os')",
        "price if price else price",
        "title == '" + "a" * 1900 + "'",
        "price < 1;",
    ),
    *(
        " and ".join(["price < 50"] * 130),
        "price < 50 # x",
        "price\n<\n5",
        "title in ['a', 1, None]",
    ),
    *("price % 0 == 1", "price / 0 == 1", "-price < 1", "brand < 5", "'x' in brand", "price in []"),
)
FIELDS = {
    "/v1/recommend": (
        *(
            "k",
            "model",
            "filter",
            "boost",
            "pin",
            "max_per",
            "exclude_seen",
            "diversity",
            "novelty",
        ),
        *("explore", "fields", "explain", "user_id", "session_id", "history", "text", "scenario"),
        *("only", "exclude", "cursor", "nobody"),
    ),
    "/v1/similar": ("item_id", "k", "by", "model", "filter", "exclude", "fields"),
    "/v1/search": ("text", "k", "by", "filter", "fields"),
    "/v1/rank": ("items", "user_id", "history", "text", "model", "fields"),
    "/v1/events": (
        *("event_id", "user_id", "session_id", "item_id", "kind", "timestamp", "value"),
        *("recommendation_id", "events"),
    ),
}
BASE: dict[str, dict[str, object]] = {
    "/v1/recommend": {"history": ["item-1"]},
    "/v1/similar": {"item_id": "item-1"},
    "/v1/search": {"text": "red"},
    "/v1/rank": {"items": ["item-1", "item-2"]},
    "/v1/events": {"item_id": "item-1"},
}


def request(
    path: str,
    body: bytes = b"",
    method: str = "POST",
    kind: str = JSON,
    more: bytes = b"",
) -> bytes:
    """A well-formed request around anything."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return head.encode("utf-8", "surrogatepass") + more + b"\r\n" + body


def attacks() -> Iterator[tuple[str, bytes]]:
    """All of them by name."""
    yield from _values()
    yield from _bodies()
    yield from _items()
    for path in PATHS:
        for method in ("GET", "POST", "DELETE"):
            yield f"{method} {path[:60]}", request(path, method=method)
    for text in FILTERS:
        yield f"filter {text[:40]}", request("/v1/recommend", _json({"filter": text}))
        yield f"boost {text[:40]}", request("/v1/recommend", _json(_boosted(text)))
    yield from _headers()
    yield from _broken()


def _json(body: object) -> bytes:
    return json.dumps(body).encode()


def _boosted(text: str) -> dict[str, object]:
    return {"history": ["item-1"], "boost": [{"when": text[:1000], "by": 2}]}


def _values() -> Iterator[tuple[str, bytes]]:
    for path, fields in FIELDS.items():
        for field in fields:
            base = {key: value for key, value in BASE[path].items() if key != field}
            for name, text in STRINGS.items():
                for shape, value in (
                    ("", text),
                    (" in a list", [text]),
                    (" in a key", {text: text}),
                ):
                    yield (
                        f"{path} {field}: {name}{shape}",
                        request(path, _json(base | {field: value})),
                    )
            start = json.dumps(base)[:-1] + (", " if base else "")
            for number in NUMBERS:
                body = f'{start}"{field}": {number}}}'.encode()
                yield f"{path} {field}: {number[:30]}", request(path, body)
            yield (
                f"{path} {field} twice",
                request(path, f'{start}"{field}": 1, "{field}": "a"}}'.encode()),
            )
            surrogate = f'{start}"{field}": "\\ud800"}}'.encode()
            yield f"{path} {field}: a lone surrogate", request(path, surrogate)


def _bodies() -> Iterator[tuple[str, bytes]]:
    deep = 100_000
    bodies = {
        "nothing": b"",
        "null": b"null",
        "a number": b"1",
        "a string": b'"x"',
        "an empty list": b"[]",
        "not JSON": b"{'k': 1}",
        "unfinished": b'{"k": ',
        "more after the end": b"{} {}",
        "a comment": b"{} // x",
        "a byte order mark": b"\xef\xbb\xbf{}",
        "UTF-16": '{"k": 1}'.encode("utf-16"),
        "invalid UTF-8": b'{"text": "\xff\xfe\x80"}',
        "a surrogate in UTF-8": b'{"text": "\xed\xa0\x80"}',
        "overlong UTF-8": b'{"text": "\xc0\xaf"}',
        "raw NUL": b'{"text": "a\x00b"}',
        "deep lists": b"[" * deep + b"]" * deep,
        "deep lists in a field": b'{"history": ' + b"[" * deep + b"]" * deep + b"}",
        "deep objects": b'{"a":' * deep + b"1" + b"}" * deep,
        "unclosed": b"[" * deep,
        "10 MB of spaces": b" " * 10_000_000,
        "10 MB string": b'{"text": "' + b"a" * 10_000_000 + b'"}',
        "a million keys": b"{" + b",".join(b'"k%d":1' % n for n in range(60_000)) + b"}",
        "the same key often": b"{" + b'"k":1,' * 100_000 + b'"k":1}',
        "1,000 filters": _json({"filter": ["price < 50"] * 1000}),
        "1,000 boosts": _json({"boost": [{"when": "price < 50", "by": 2}] * 1000}),
        "1,000 fields": _json({"fields": [f"f{n}" for n in range(1000)]}),
        "100,000 of history": _json({"history": ["item-1"] * 100_000}),
        "1,000 of history": _json({"history": ["item-1"] * 1000, "explain": True}),
        "prototype": _json({"__proto__": {"k": 1}, "constructor": 1}),
        "huge k": _json({"k": 10**9}),
        "a number of 100,000 digits": b'{"k": ' + b"9" * 100_000 + b"}",
    }
    for path in (*FIELDS, "/v1/items"):
        for name, body in bodies.items():
            yield f"{path} {name}", request(path, body)
    for kind in (
        "text/plain",
        FORM,
        "multipart/form-data; boundary=x",
        "",
        "application/xml",
        "a\tb",
    ):
        yield f"content type {kind!r}", request("/v1/recommend", b'{"k": 1}', kind=kind)
        yield f"a form of {kind!r}", request("/login", b"key=x&next=//evil.example", kind=kind)
    for name, text in STRINGS.items():
        form = f"name={quote(text)}&model={quote(text)}&key={quote(text)}&next={quote(text)}"
        for path in ("/login", "/logout", "/models/activate"):
            yield f"{path} form {name}", request(path, form.encode(), kind=FORM)


def _items() -> Iterator[tuple[str, bytes]]:
    for name, text in STRINGS.items():
        for item in (
            {"item_id": text},
            {"item_id": "odd", "title": text},
            {"item_id": "odd", text: "x"},
            {"item_id": "odd", "title": [text]},
            {"item_id": "odd", "price": text},
        ):
            yield f"an item with {name}", request("/v1/items", _json({"items": [item]}))
    for number in NUMBERS:
        for field in ("item_id", "price", "title", "new"):
            rest = "" if field == "item_id" else '"item_id": "odd", '
            body = f'{{"items": [{{{rest}"{field}": {number}}}]}}'.encode()
            yield f"an item with {field} {number[:30]}", request("/v1/items", body)
    wide = {"item_id": "odd"} | {f"f{n}": n for n in range(5000)}
    yield "an item with 5,000 fields", request("/v1/items", _json({"items": [wide]}))
    yield "2,000 items", request("/v1/items", _json({"items": [{"item_id": "odd"}] * 2000}))
    yield "an item of items", request("/v1/items", _json({"items": [{"item_id": {"a": 1}}]}))


def _headers() -> Iterator[tuple[str, bytes]]:
    body = b'{"history": ["item-1"]}'
    for name, header in {
        "a long header": b"X-Long: " + b"a" * 200_000 + b"\r\n",
        "many headers": b"".join(b"X-%d: 1\r\n" % n for n in range(5000)),
        "a strange host": b"Host: evil.example\r\n",
        "a foreign origin": b"Origin: https://evil.example\r\n",
        "a request id with a line break": b"X-Request-ID: a\r\n b\r\n",
        "a strange request id": b"X-Request-ID: <script>\x01'\"\r\n",
        "a long key": b"Authorization: Bearer " + b"a" * 50_000 + b"\r\n",
        "an odd key": b"Authorization: Bearer \xff\xfe\r\n",
        "basic": b"Authorization: Basic Og==\r\n",
        "a cookie": b"Cookie: " + b"a=b; " * 5000 + b"\r\n",
        "an idempotency key of bytes": b"Idempotency-Key: \xff\xfe\r\n",
        "an encoding": b"Content-Encoding: gzip\r\n",
        "a forwarded address": b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Host: evil.example\r\n",
        "a range": b"Range: bytes=0-99999999999999\r\n",
        "an upgrade": b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
        "an expectation": b"Expect: 200-maybe\r\n",
    }.items():
        yield name, request("/v1/recommend", body, more=header)
        yield f"{name} at events", request("/v1/events", b'{"item_id": "item-1"}', more=header)
        yield f"{name} at the page", request("/", method="GET", more=header)


def _broken() -> Iterator[tuple[str, bytes]]:
    """What is no HTTP, or never ends; the service may hang up on it."""
    start = b"POST /v1/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    chunked = start + b"Transfer-Encoding: chunked\r\n\r\n"
    yield "no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"
    yield "HTTP 0.9", b"GET /\r\n\r\n"
    yield "an unknown version", b"GET / HTTP/9.9\r\n\r\n"
    yield "an unknown method", request("/", method="BREW")
    yield "TRACE", request("/", method="TRACE")
    yield "no host", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
    yield "a line break in the path", b"GET /\r\nX: y HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    yield "bytes in the path", b"GET /\xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    yield "a path of 200 kB", b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    yield "a negative length", start + b"Content-Length: -1\r\n\r\n{}"
    yield "a length of letters", start + b"Content-Length: ten\r\n\r\n{}"
    yield "a huge length", start + b"Content-Length: 99999999999999999999\r\n\r\n{}"
    yield "two lengths", start + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "
    yield "length and chunks", start + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}"
    yield "a body that never comes", start + b"Content-Length: 1000\r\n\r\n{"
    yield "chunks that never end", chunked + b"5\r\n{    \r\n"
    yield "a chunk of a strange size", chunked + b"zz\r\n{}\r\n0\r\n\r\n"
    yield "a huge chunk", chunked + b"ffffffffffffffff\r\n{}"
    yield "10 MB in chunks", chunked + b"100000\r\n%b\r\n" % (b" " * 2**20) * 10 + b"0\r\n\r\n"
    yield "headers that never end", start
