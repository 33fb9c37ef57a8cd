"""The films of the demo world: a hand-made list of real ones, and imaginary countries beyond it.

`films.csv` holds real films with their year, director, genres, themes and series, and a `fame` from
1 (for enthusiasts) to 5 (everyone has heard of it). A world that needs more films than that gets
whole imaginary film industries: every further country mirrors the real list film by film (the same
years, genres, themes and series structure) under titles, directors and series names of its own. So
a catalog of a million films has the same statistics as the real one, and nothing needs a download.

Shapes      N films of the catalog, C countries (0 is the real world), R films per country.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from itemlm.types import ConfigError, IntArray

FILMS_CSV = Path(__file__).with_name("films.csv")
FEWEST_ITEMS = 10

# What imaginary films, directors and countries are called. Words are separated by spaces.
ADJECTIVES = """
    Amber Ancient Bitter Blue Borrowed Brass Broken Burning Crimson Crooked Distant Drowned Empty
    Endless Fallen Frozen Gentle Gilded Golden Green Hidden Hollow Humble Iron Ivory Last Little
    Lonely Lost Midnight Northern Paper Quiet Restless Scarlet Second Secret Seventh Silent Silver
    Sleeping Stolen Stubborn Unlikely Velvet Wandering White Winter"""
NOUNS = """
    Accordion Alibi Apprentice Bicycle Border Bridge Carnival Castaway Clockmaker Comet Crossing
    Daughter Detective Envelope Ferry Fortune Garden Gambler Harbor Harvest Horizon Hotel
    Inheritance Island Kingdom Lantern Letter Lighthouse Machine Masquerade Messenger Mountain
    Orchard Orchestra Passenger Photograph Piano Promise Railway River Sentinel Shadow Station
    Stranger Voyage Waltz Widow Witness"""
GIVEN_NAMES = """
    Ada Alma Anton Aurel Bela Bruno Celia Dario Edda Elio Emil Esther Felix Greta Hugo Ida Ilya Iris
    Jonas Karin Lena Leo Lidia Luka Mara Marek Mila Nadia Nils Nora Oskar Otto Petra Rafael Rosa
    Selma Stefan Tilda Viktor Yara"""
FAMILY_NAMES = """
    Abelard Almassy Arkady Bellini Borodin Calder Castellan Corvino Dalgaard Darrow Devereux Ekberg
    Esterly Falkner Fontane Galloway Haldane Hartmann Ibarra Jansky Karlov Kestrel Lazarev Lindqvist
    Lorca Marchetti Moreau Nakamori Nordahl Okafor Orlov Palmer Quintero Ravensky Rinaldi Sandoval
    Sorensen Tavares Thorne Ullman Vandermeer Varga Vasquez Wexler Winterbourne Yarrow Zamora
    Zeller"""
SYLLABLES = (
    "Zor Bel Kar Mal Vel Tor Gra Lun Fen Dor Sel Nor Pal Ruk Hal Cas Mir Ost Bra Ild",
    "a e i o u an en or ar il",
    "via dia land mark stan burg nia ria mont dor",
)
PARTS = """
    I II III IV V VI VII VIII IX X XI XII XIII XIV XV XVI XVII XVIII XIX XX XXI XXII XXIII XXIV XXV
    XXVI XXVII XXVIII XXIX XXX"""


@dataclass(frozen=True, kw_only=True)
class Cinema:
    """A catalog and how its rows are laid out.

    Attributes:
        table: [N] item_id, title, year, director, genres, themes, series.
        home: [R] the films that every country mirrors, with their `fame`.
        country_N: 0 for the real world.
        film_N: the film of `home` that each row is or mirrors.
        row_CR: the reverse of (country_N, film_N); -1 where a country lacks a film.
    """

    table: pl.DataFrame
    home: pl.DataFrame
    country_N: IntArray
    film_N: IntArray
    row_CR: IntArray


def films() -> pl.DataFrame:
    """The real films: item_id, title, year, director, genres, themes and series.

    `genres` and `themes` are lists; `series` is null for films that stand alone. Sorted by year,
    then title; parts of a series from one year stand in the order of their release.
    """
    return _real_films().drop("fame")


def cinema(items: int | None = None) -> Cinema:
    """A catalog of any size: the most famous real films, all of them, or imaginary ones as well.

    Args:
        items: number of films; None for all real ones.

    Raises:
        ConfigError: if `items` is too small or too large.
    """
    home = _real_films()
    most = len(_countries()) * home.height
    items = home.height if items is None else items
    if not FEWEST_ITEMS <= items <= most:
        raise ConfigError(f"items is {items}, but a world holds {FEWEST_ITEMS} to {most} films.")
    fame_order = home.with_row_index().sort("fame", "year", descending=True)["index"].to_numpy()
    if items < home.height:
        home = home[np.sort(fame_order[:items])]
    films_each = home.height
    row_CR = np.full((-(-items // films_each), films_each), -1, dtype=np.int64)
    row_CR[:-1] = np.arange(row_CR[:-1].size).reshape(-1, films_each)
    last_films = items - row_CR[:-1].size
    chosen = slice(None) if last_films == films_each else np.sort(fame_order[:last_films])
    row_CR[-1, chosen] = np.arange(items - last_films, items)
    country_N, film_N = np.nonzero(row_CR >= 0)
    tables = [home.drop("fame")]
    if len(row_CR) > 1:
        abroad = country_N > 0
        tables.append(_imaginary(home, country_N[abroad], film_N[abroad]))
    return Cinema(
        table=pl.concat(tables), home=home, country_N=country_N, film_N=film_N, row_CR=row_CR
    )


def _real_films() -> pl.DataFrame:
    lists = [pl.col(name).str.split("|") for name in ("genres", "themes")]
    return pl.read_csv(FILMS_CSV).with_columns(lists)


def _imaginary(home: pl.DataFrame, country_N: IntArray, film_N: IntArray) -> pl.DataFrame:
    """The mirrored films of the given countries, under names of their own."""
    # A film alone and a series are one work each; a work has one name per country.
    work_R = home.select(pl.coalesce("series", "item_id").rank("dense").cast(pl.Int64))
    part_R = home.select(pl.int_range(pl.len()).over("series")).to_series()
    alone_R = home["series"].is_null()
    director_R = home["director"].rank("dense").cast(pl.Int64)

    abroad = home.select("year", "genres", "themes")[film_N]
    country = pl.Series("country", _countries()).gather(country_N - 1)
    work = _names(ADJECTIVES, NOUNS, work_R.to_series().to_numpy()[film_N], country_N)
    numerals = pl.Series(["", *(f" {numeral}" for numeral in PARTS.split()[1:])])
    part = numerals.gather(part_R.set(alone_R, 0).gather(film_N))
    director = _names(GIVEN_NAMES, FAMILY_NAMES, director_R.to_numpy()[film_N], country_N)
    series = pl.select(pl.when(~alone_R.gather(film_N)).then(work)).to_series()
    title = "The " + work + part
    slug = (title + " " + abroad["year"].cast(pl.String) + " " + country).str.to_lowercase()
    return abroad.select(
        slug.str.replace_all(" ", "-").alias("item_id"),
        title.alias("title"),
        "year",
        director.alias("director"),
        "genres",
        pl.concat_list("themes", country.str.to_lowercase()).alias("themes"),
        series.alias("series"),
    )


def _names(first: str, second: str, key_N: IntArray, country_N: IntArray) -> pl.Series:
    """Two-word names, different for every key (< 1900) inside a country."""
    # The steps share no factor with the number of pairs, so all pairs come up before one repeats.
    firsts, seconds = pl.Series(first.split()), pl.Series(second.split())
    pair_N = (key_N * 1013 + country_N * 389) % (len(firsts) * len(seconds))
    first_N, second_N = np.divmod(pair_N, len(seconds))
    return firsts.gather(first_N) + " " + seconds.gather(second_N)


def _countries() -> list[str]:
    """Names of all imaginary countries, neighbors in the list unlike each other."""
    starts, middles, ends = (syllables.split() for syllables in SYLLABLES)
    every = [start + middle + end for start in starts for middle in middles for end in ends]
    return [every[place * 1013 % len(every)] for place in range(len(every))]
