"""Routes that answer with items."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.requests import Request

from itemlm.serve.routes.common import NAMED, WITH_BODY, documented, served, written
from itemlm.serve.schemas import (
    ExplainAnswer,
    RankRequest,
    RecommendAnswer,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
)

router = APIRouter(prefix="/v1", tags=["recommend"])
ERRORS = documented(WITH_BODY, NAMED)


@router.post("/recommend", response_model=RecommendAnswer, responses=ERRORS)
async def recommend(body: RecommendRequest, request: Request) -> Any:
    """Recommend items to a person, a visit, a history, or for a wish in words."""
    return written(await served(request).recommend(body))


@router.post("/similar", response_model=RecommendAnswer, responses=ERRORS)
async def similar(body: SimilarRequest, request: Request) -> Any:
    """Items like one item: alike in words, or recommended after it by the model."""
    return written(await served(request).similar(body))


@router.post("/search", response_model=RecommendAnswer, responses=ERRORS)
async def search(body: SearchRequest, request: Request) -> Any:
    """Items for words; the last word may be unfinished."""
    return written(await served(request).search(body))


@router.post("/rank", response_model=RecommendAnswer, responses=ERRORS)
async def rank(body: RankRequest, request: Request) -> Any:
    """Put a given list of items in order."""
    return written(await served(request).rank(body))


@router.get("/explain/{recommendation_id}", response_model=ExplainAnswer, responses=ERRORS)
async def explain(
    recommendation_id: Annotated[str, Path(min_length=1, max_length=64)], request: Request
) -> Any:
    """Why the items of an earlier answer were recommended."""
    return written(await served(request).explain(recommendation_id))
