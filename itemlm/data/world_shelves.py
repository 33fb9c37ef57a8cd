"""The shelves of the demo world: films that put people in the same mood.

A shelf holds films that share genres and themes, mostly 17 to 45 of them, so that one who knows
what a film is about can guess where it stands. Shelves are found by clustering and ranked from the
lightest to the gravest; the shelf half-way around that ranking is a shelf's contrast.

Shapes      R films, F traits, L shelves.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from itemlm.types import BoolArray, FloatArray, IntArray

FILMS_PER_SHELF = 30  # on average
NAMED_BY = {"genres": 1, "themes": 2}  # so many words of each in the name of a shelf
ROUNDS = 30  # of clustering, at most
LIGHT = ("comedy", "animation", "family", "music", "fantasy", "adventure", "sport")
GRAVE = ("drama", "war", "history", "biography", "crime", "thriller", "horror")


def shelve(films: pl.DataFrame) -> IntArray:
    """[R] the shelf of each film; shelf 0 is the lightest, and there are at least two."""
    shelves = max(2, round(films.height / FILMS_PER_SHELF))
    shelf_R = _cluster(_vectors(films), shelves)
    genres = pl.col("genres")
    gravity = pl.sum_horizontal(
        *(genres.list.contains(genre).cast(pl.Int64) for genre in GRAVE),
        *(-genres.list.contains(genre).cast(pl.Int64) for genre in LIGHT),
    )
    gravity_R = films.select(gravity).to_series().to_numpy()
    gravity_L = np.bincount(shelf_R, gravity_R) / np.bincount(shelf_R)
    rank_L = np.argsort(np.argsort(gravity_L, kind="stable"))
    ranked_R: IntArray = rank_L[shelf_R]
    return ranked_R


def shelf_names(films: pl.DataFrame, shelf_R: IntArray) -> list[str]:
    """[L] such as "crime, gangsters, heist": the traits that set a shelf apart from the others."""
    member_LR = shelf_R == np.arange(shelf_R.max() + 1)[:, None]
    names: list[list[str]] = [[] for _ in member_LR]
    for column, words in NAMED_BY.items():
        has_RF = has_trait(films, column)
        rarity_F = np.log(films.height / has_RF.sum(0))
        share_LF = member_LR @ has_RF.astype(float) / member_LR.sum(1, keepdims=True)
        typical_LF = (share_LF * rarity_F).round(9)
        traits = films[column].explode().unique().sort()
        for name, best_F in zip(names, np.argsort(-typical_LF, axis=1, kind="stable"), strict=True):
            name.extend(traits[best_F[:words].tolist()])
    return [", ".join(name) for name in names]


def has_trait(films: pl.DataFrame, column: str) -> BoolArray:
    """[R, F] which film has which value of a list column, values in alphabetical order."""
    pairs = films.select(pl.int_range(pl.len()).alias("film"), column).explode(column)
    trait_E = pairs[column].rank("dense").to_numpy().astype(np.int64) - 1
    has_RF = np.zeros((films.height, trait_E.max() + 1), dtype=bool)
    has_RF[pairs["film"].to_numpy(), trait_E] = True
    return has_RF


def _vectors(films: pl.DataFrame) -> FloatArray:
    """[R, F] of length 1; rare traits weigh more."""
    has_RF = np.concatenate([has_trait(films, column) for column in ("genres", "themes")], axis=1)
    rarity_F = 0.1 + np.log(films.height / has_RF.sum(0))  # a trait of all films counts a bit
    vectors_RF: FloatArray = has_RF * rarity_F
    vectors_RF /= np.linalg.norm(vectors_RF, axis=1, keepdims=True)
    return vectors_RF


def _cluster(vectors_RF: FloatArray, clusters: int) -> IntArray:
    """[R] k-means by cosine, begun with films that are as unlike each other as can be."""
    chosen = [int(_products(vectors_RF, vectors_RF.sum(0)).argmax())]
    nearest_R = _products(vectors_RF, vectors_RF[chosen[0]])
    while len(chosen) < clusters:
        chosen.append(int(nearest_R.argmin()))
        nearest_R = np.maximum(nearest_R, _products(vectors_RF, vectors_RF[chosen[-1]]))
    centers_LF, cluster_R = vectors_RF[chosen], np.full(len(vectors_RF), -1)
    for _ in range(ROUNDS):
        before_R, cluster_R = cluster_R, _products(vectors_RF, centers_LF.T).argmax(1)
        if (cluster_R == before_R).all():
            break
        member_LR = cluster_R == np.arange(clusters)[:, None]
        filled_L = member_LR.any(1)  # a center that loses all its films stays where it is
        centers_LF[filled_L] = (member_LR @ vectors_RF)[filled_L]
        centers_LF /= np.linalg.norm(centers_LF, axis=1, keepdims=True)
    return np.unique(cluster_R, return_inverse=True)[1]


def _products(vectors_RF: FloatArray, others_F: FloatArray) -> FloatArray:
    """Inner products, rounded so that all machines agree on which are equal."""
    return (vectors_RF @ others_F).round(9)
