"""A small application behind the whole HTTP layer, for the tests of that layer."""

from dataclasses import dataclass

from fastapi import APIRouter, FastAPI
from starlette.responses import HTMLResponse
from starlette.testclient import TestClient

from itemlm.serve.http.errors import ApiError
from itemlm.serve.http.keys import KeyRing, hash_key
from itemlm.serve.http.metrics import Metrics
from itemlm.serve.http.protect import protect
from itemlm.serve.http.settings import HttpSettings
from itemlm.serve.rules.tree import RuleError
from itemlm.serve.schemas import Events, Items, RecommendRequest
from itemlm.types import DataError

LOCAL = "http://localhost"


@dataclass
class Key:
    """As the store keeps it."""

    name: str
    hash: str
    scopes: tuple[str, ...]
    revoked_at: int | None = None


def ring_of(**scopes):
    """A ring of one key per name, which is also the key itself: `reader="read"`."""
    return KeyRing(lambda: [Key(name, hash_key(name), (scope,)) for name, scope in scopes.items()])


def bearer(key):
    """The header of a key."""
    return {"Authorization": f"Bearer {key}"}


def routes():
    """Routes that answer, and routes that fail in every way."""
    router = APIRouter()

    @router.post("/recommend")
    async def recommend(request: RecommendRequest):
        return {"k": request.k}

    @router.post("/events")
    async def events(request: Events):
        return {"accepted": len(request.events)}

    @router.put("/items")
    async def items(request: Items):
        return {"updated": len(request.items)}

    @router.get("/users/{user_id:path}")
    async def user(user_id: str, limit: int = 10):
        return {"user_id": user_id, "limit": limit}

    @router.get("/raise/{code}")
    async def fail(code: str):
        raise ApiError(code, f"This is {code}.", retry_after=1.2)

    @router.get("/mistake")
    async def mistake():
        raise DataError("the column 'x' is empty.")

    @router.get("/rule")
    async def rule():
        raise RuleError("no such field.", "pricey < 3", (0, 6))

    @router.get("/bug")
    async def bug():
        raise ZeroDivisionError("secret detail")

    return router


def client(settings=None, ring=None, metrics=None, **kwargs):
    """A caller of the application; without a ring there are no keys."""
    metrics = metrics or Metrics()
    app = FastAPI(lifespan=kwargs.pop("lifespan", None))
    app.include_router(routes(), prefix="/v1")
    app.get("/metrics")(metrics.scrape)

    @app.get("/healthz")
    async def healthz():
        return {}

    @app.get("/")
    async def page():
        return HTMLResponse("<p>hello</p>")

    @app.post("/models/activate")
    @app.post("/login")
    async def form():
        return {}

    protect(app, settings or HttpSettings(), ring or ring_of(), metrics)
    return TestClient(app, base_url=kwargs.pop("base_url", LOCAL), **kwargs)
