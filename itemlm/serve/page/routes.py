"""Which URL shows what: the routes of the page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from itemlm.serve.http.keys import COOKIE
from itemlm.serve.page import browse, explore
from itemlm.serve.page.assets import asset_response
from itemlm.serve.page.look import Look, found_item, seen_items
from itemlm.serve.page.render import rendered
from itemlm.serve.page.signing_in import Keys, add_forms, allows, form_of
from itemlm.serve.page.state import PageState
from itemlm.types import ItemlmError

if TYPE_CHECKING:
    from itemlm.serve.service import Service


class PageRoute(APIRoute):
    """A route whose mistakes are told on a page instead of in JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with errors as pages."""
        answer = super().get_route_handler()

        async def answer_or_tell(request: Request) -> Response:
            try:
                return await answer(request)
            except ItemlmError as error:
                status, headers = getattr(error, "status", 400), getattr(error, "headers", None)
                return rendered("error.html", request, status, headers, message=str(error))

        return answer_or_tell


def page_router(service: Service, keys: Keys | None = None) -> APIRouter:
    """The page over a service.

    Args:
        service: what answers.
        keys: the ring of API keys; None where no keys are required.
    """
    router = APIRouter(route_class=PageRoute, include_in_schema=False)
    _explore(router, service)
    _browse(router, service)
    _operate(router, service)
    add_forms(router, keys)

    @router.get("/static/{name:path}")
    async def static(name: str, request: Request) -> Response:
        return asset_response(name, request)

    return router


def _explore(router: APIRouter, service: Service) -> None:
    async def shown_page(
        request: Request, state: PageState, asked_user: str = "", user_problem: str = ""
    ) -> Response:
        look, models = await asyncio.gather(Look.of(service), service.models())
        seen = await seen_items(service, look, state.history)
        history = [item.item_id for item in seen]
        shown, found = await asyncio.gather(
            explore.slates(service, look, state, history),
            explore.suggestions(service, look, state.q),
        )
        headers = {}
        if request.headers.get("hx-source", "").startswith("form"):
            # Of all positions of a dial, only the last stays in the browser's history.
            headers["HX-Replace-Url"] = state.url()
        asked = explore.request_of(look, state, history, state.model)
        address = str(request.base_url).rstrip("/")
        return rendered(
            "explore.html",
            request,
            404 if asked_user else 200,
            headers,
            state=state,
            asked_user=asked_user,
            user_problem=user_problem,
            look=look,
            models=models,
            seen=seen,
            shown=shown,
            found=found,
            told=explore.told(shown),
            in_both=explore.in_both(shown) if len(shown) == 2 else None,
            curl=explore.curl_of(asked, address, COOKIE in request.cookies),
        )

    @router.get("/")
    async def page(request: Request) -> Response:
        return await shown_page(request, PageState.of(request.query_params))

    @router.get("/suggest")
    async def suggest(request: Request) -> Response:
        state = PageState.of(request.query_params)
        look = await Look.of(service)
        found = await explore.suggestions(service, look, state.q)
        return rendered("suggestions.html", request, state=state, found=found)

    @router.get("/surprise")
    async def surprise(request: Request) -> Response:
        state = await explore.surprise(service, PageState.of(request.query_params))
        return RedirectResponse(state.url(), status_code=303)

    @router.get("/visit")
    async def visit(request: Request) -> Response:
        state = PageState.of(request.query_params)
        user = state.user
        try:
            state = await explore.visit(service, state, user) if user else state
        except ItemlmError as error:
            return await shown_page(request, state.changed(user=""), user, str(error))
        return RedirectResponse(state.url(), status_code=303)


def _browse(router: APIRouter, service: Service) -> None:
    @router.get("/items")
    @router.get("/items/{item_id:path}")
    async def item(request: Request, item_id: str = "") -> Response:
        state = PageState.of(request.query_params)
        name = item_id or request.query_params.get("id", "")
        found, look = await asyncio.gather(
            found_item(service, name, state.model or None), Look.of(service)
        )
        by_text, by_behavior, chart = await asyncio.gather(
            browse.neighbors(service, look, found.item_id, "text", state),
            browse.neighbors(service, look, found.item_id, "behavior", state),
            browse.popularity_chart(service, found.item_id),
        )
        return rendered(
            "item.html",
            request,
            item=found,
            title=look.title_of(found.item_id, found.fields),
            tone=look.tone_of(found.fields),
            fields=browse.listed_fields(look, found),
            neighbors=[by_text, by_behavior],
            chart_data=chart,
            written=browse.written,
        )

    @router.get("/tree")
    async def tree(request: Request, prefix: str = "") -> Response:
        state = PageState.of(request.query_params)
        codes, models = browse.prefix_of(prefix), await service.models()
        shown: dict[str, Any] = {"node": None, "problem": None, "offered": []}
        look = await Look.of(service)
        try:
            shown["node"] = await service.codes(codes, state.model or None)
        except ItemlmError as error:
            shown["problem"] = str(error)
            if not codes or getattr(error, "field", None) == "model":
                shown["offered"] = await browse.models_with_codes(service, models)
        return rendered(
            "tree.html",
            request,
            models=models,
            prefix=codes,
            written=browse.written,
            look=look,
            many=browse.MANY_BRANCHES,
            **shown,
        )

    @router.get("/map")
    async def map_page(request: Request) -> Response:
        state = PageState.of(request.query_params)
        look = await Look.of(service)
        seen = await seen_items(service, look, state.history)
        history = [item.item_id for item in seen if item.known]
        shown = await explore.slates(service, look, state.changed(plain=True, beside=""), history)
        marks = {
            "history": history,
            "slate": [card.item_id for card in shown[0].cards] if state.history else [],
        }
        return rendered("map.html", request, marks=marks, seen=seen, shown=shown[0])

    @router.get("/map/points.json")
    async def points(request: Request) -> Response:
        state = PageState.of(request.query_params)
        answer = await service.catalog_map(state.model or None)
        return Response(answer.model_dump_json(), media_type="application/json")


def _operate(router: APIRouter, service: Service) -> None:
    async def models_page(
        request: Request, first: str = "", second: str = "", ask: str = "", problem: str = ""
    ) -> Response:
        state = PageState.of(request.query_params)
        compared = await browse.compared(service, state, (first, second))
        models = await service.models()
        names = {model.name for model in models.models}
        return rendered(
            "models.html",
            request,
            400 if problem else 200,
            models=models,
            curves={model.name: browse.curves(model.card) for model in models.models},
            facts=browse.facts,
            first=first,
            second=second,
            compared=compared,
            ask=ask if ask in names else "",
            may_activate=allows(request.scope, "admin"),
            problem=problem,
        )

    @router.get("/models")
    async def models(
        request: Request, first: str = "", second: str = "", ask: str = ""
    ) -> Response:
        return await models_page(request, first, second, ask)

    @router.post("/models/activate")
    async def activate(request: Request) -> Response:
        form = await form_of(request)
        try:
            if form.get("back"):
                await service.rollback()
            else:
                await service.activate(form.get("name", ""))
        except ItemlmError as error:
            return await models_page(request, problem=str(error))
        state = PageState.of(request.query_params)
        return RedirectResponse(state.carried("/models"), status_code=303)

    @router.get("/health")
    async def health(request: Request) -> Response:
        return rendered("health.html", request, health=await service.health())
