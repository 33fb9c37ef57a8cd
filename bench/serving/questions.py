"""What services are asked: histories of random items, and a mix of everything that people do."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from urllib.parse import quote

from serving import server
from serving.load import Request

DIFFERENT = 5000  # questions, before they repeat


def post(path: str, body: Mapping[str, object]) -> Request:
    """A request with a JSON body."""
    return ("POST", path, json.dumps(body).encode())


def get(path: str) -> Request:
    """A request without a body."""
    return ("GET", path, b"")


def histories(items: int, length: int = 20, k: int = 10, seed: int = 0) -> list[Request]:
    """Requests for recommendations to histories of up to `length` random items."""
    rng = random.Random(seed)
    return [
        post("/v1/recommend", {"history": history(rng, items, length), "k": k})
        for _ in range(DIFFERENT)
    ]


def history(rng: random.Random, items: int, length: int = 20) -> list[str]:
    """Random items."""
    return [f"item-{rng.randrange(items)}" for _ in range(rng.randint(1, length))]


class Mixed:
    """Everything at once, in fixed shares: slates of all kinds, events, item updates, pages.

    Args:
        items: of the catalog.
        users: who come back.
        arriving: ids of items that arrive, again and again the same ones, so that the catalog does
            not grow without end.
    """

    KINDS = (
        *["plain"] * 20,
        *["filtered", "explained", "wish", "similar", "search", "rank", "rules"] * 4,
        *["user"] * 12,
        *["event"] * 20,
        *["events"] * 6,
        *["reads"] * 6,
        *["item", "page", "page_item", "health"] * 2,
        *["update"],
    )

    def __init__(self, items: int, users: int = 500, arriving: int = 50) -> None:
        self.items, self.users, self.arriving = items, users, arriving
        self.rng = random.Random(0)

    def __call__(self, place: int) -> Request:
        """The request with a number."""
        made: Request = getattr(self, "_" + self.rng.choice(self.KINDS))(place)
        return made

    def _history(self) -> list[str]:
        return history(self.rng, self.items)

    def _item_id(self) -> str:
        return f"item-{self.rng.randrange(self.items)}"

    def _user_id(self) -> str:
        return f"user-{self.rng.randrange(self.users)}"

    def _words(self) -> str:
        return " ".join(self.rng.choices(server.WORDS, k=2))

    def _filter(self) -> str:
        price = self.rng.choice((20, 50, 80))
        return f"price < {price} and brand != 'brand-{self.rng.randrange(20)}'"

    def _plain(self, place: int) -> Request:
        return post("/v1/recommend", {"history": self._history()})

    def _filtered(self, place: int) -> Request:
        return post("/v1/recommend", {"history": self._history(), "filter": self._filter()})

    def _explained(self, place: int) -> Request:
        asked = {"history": self._history()[:5], "explain": True, "k": 5, "fields": ["title"]}
        return post("/v1/recommend", asked)

    def _wish(self, place: int) -> Request:
        return post("/v1/recommend", {"history": self._history(), "text": self._words()})

    def _rules(self, place: int) -> Request:
        boost = [{"when": "price < 30", "by": 1.5}]
        shaping = {"boost": boost, "max_per": {"brand": 1}, "diversity": 0.3, "explore": 0.1}
        return post("/v1/recommend", {"history": self._history(), **shaping})

    def _user(self, place: int) -> Request:
        return post("/v1/recommend", {"user_id": self._user_id()})

    def _similar(self, place: int) -> Request:
        by = self.rng.choice(("text", "behavior"))
        return post("/v1/similar", {"item_id": self._item_id(), "by": by})

    def _search(self, place: int) -> Request:
        return post("/v1/search", {"text": self._words()})

    def _rank(self, place: int) -> Request:
        listed = [self._item_id() for _ in range(20)]
        return post("/v1/rank", {"history": self._history(), "items": listed})

    def _happened(self) -> dict[str, object]:
        return {"user_id": self._user_id(), "item_id": self._item_id(), "kind": "view"}

    def _event(self, place: int) -> Request:
        return post("/v1/events", self._happened())

    def _events(self, place: int) -> Request:
        return post("/v1/events", {"events": [self._happened() for _ in range(10)]})

    def _reads(self, place: int) -> Request:
        return get(f"/v1/users/{self._user_id()}?limit=20")

    def _item(self, place: int) -> Request:
        return get(f"/v1/items/{self._item_id()}")

    def _page(self, place: int) -> Request:
        search = f"/suggest?q={quote(self._words())}"
        return get(self.rng.choice(("/", search, "/models", "/health", "/map")))

    def _page_item(self, place: int) -> Request:
        return get(f"/items/{self._item_id()}")

    def _health(self, place: int) -> Request:
        return get(self.rng.choice(("/v1/health", "/metrics", "/readyz")))

    def _update(self, place: int) -> Request:
        arrives = self.rng.random() < 0.5
        item_id = f"late-{self.rng.randrange(self.arriving)}" if arrives else self._item_id()
        fields = {"title": f"{self._words()} {place}", "price": self.rng.randint(1, 99) + 0.5}
        return post("/v1/items", {"items": [{"item_id": item_id, **fields}]})
