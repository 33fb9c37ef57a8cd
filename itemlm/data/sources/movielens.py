"""MovieLens: ratings of films with dates, by GroupLens. ml-100k, ml-1m and ml-latest-small.

Catalogs have `item_id` (the MovieLens id), `title` (with its year), `year`, `genres` and, in
ml-latest-small, `tags`. The old sets come as tables without a header, partly in Latin-1, and ml-1m
with `::` between fields; a copy converted to UTF-8 is read as well.

`ml-1m` means the 5-core that sequential recommenders are compared on (6,040 users, 3,416 films,
999,611 events), also when it is made from the official 1,000,209 ratings.

Source      Harper and Konstan, "The MovieLens Datasets", TiiS 2015. doi:10.1145/2827872
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
from polars.datatypes import DataTypeClass

from itemlm.data.dataset import Dataset
from itemlm.data.filters import k_core
from itemlm.data.sources.reading import need, read_sequences

SECOND = 1000  # our timestamps are milliseconds

# u.item marks genres with 19 flags in this order.
GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
    "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi",
    "Thriller", "War", "Western",
)  # fmt: skip
AGES_1M = {
    1: "under 18", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-49", 50: "50-55", 56: "56+",
}  # fmt: skip
OCCUPATIONS_1M = (
    "other", "academic/educator", "artist", "clerical/admin", "college/grad student",
    "customer service", "doctor/health care", "executive/managerial", "farmer", "homemaker",
    "K-12 student", "lawyer", "programmer", "retired", "sales/marketing", "scientist",
    "self-employed", "technician/engineer", "tradesman/craftsman", "unemployed", "writer",
)  # fmt: skip

Columns = dict[str, DataTypeClass]
RATING: Columns = {
    "user_id": pl.Int64,
    "item_id": pl.Int64,
    "value": pl.Float32,
    "timestamp": pl.Int64,
}


def read_100k(folder: Path, name: str) -> Dataset:
    """`u.data`, `u.item`, and the users from `u.user` or RecBole's `ml-100k.user`."""
    ratings, films = need(folder, "u.data", "u.item")
    flags: Columns = dict.fromkeys(GENRES_100K, pl.Int8)
    about: Columns = {
        "item_id": pl.Int64,
        "title": pl.String,
        "released": pl.String,
        "video": pl.String,
        "imdb": pl.String,
    }
    catalog = _table(films, "|", about | flags).select(
        "item_id",
        "title",
        year=pl.coalesce(_year(), pl.col("released").str.extract(r"-(\d{4})$").cast(pl.Int32)),
        genres=pl.concat_list(
            pl.when(pl.col(genre) == 1).then(pl.lit(genre))
            for genre in GENRES_100K
            if genre != "unknown"
        ).list.drop_nulls(),
    )
    person: Columns = {
        "user_id": pl.Int64,
        "age": pl.Int64,
        "gender": pl.String,
        "occupation": pl.String,
        "zip_code": pl.String,
    }
    profiles = None
    if (folder / "u.user").exists():
        profiles = _table(folder / "u.user", "|", person)
    elif (folder / "ml-100k.user").exists():
        profiles = _table(folder / "ml-100k.user", "\t", person, skip_rows=1)
    return Dataset.build(_ratings(_table(ratings, "\t", RATING)), catalog, profiles, name=name)


def read_1m(folder: Path, name: str) -> Dataset:
    """Official (`ratings.dat`) or prepared (`sequences.txt`, in MovieLens ids), as 5-core."""
    films, people = need(folder, "movies.dat", "users.dat")
    about: Columns = {"item_id": pl.Int64, "title": pl.String, "genres": pl.String}
    catalog = _table(films, "::", about).sort("item_id")
    catalog = catalog.select("item_id", "title", _year(), _genres())
    person: Columns = {
        "user_id": pl.Int64,
        "gender": pl.String,
        "age": pl.Int64,
        "occupation": pl.Int64,
        "zip_code": pl.String,
    }
    profiles = _table(people, "::", person).with_columns(
        pl.col("age").replace_strict(AGES_1M, default=None),
        pl.col("occupation").replace_strict(dict(enumerate(OCCUPATIONS_1M)), default=None),
    )
    if (folder / "ratings.dat").exists():
        events = _ratings(_table(folder / "ratings.dat", "::", RATING))
        return k_core(Dataset.build(events, catalog, profiles, name=name), users=5, items=5)
    events = read_sequences(*need(folder, "sequences.txt"))
    catalog = catalog.join(events, on="item_id", how="semi", maintain_order="left")
    notes = ("No ratings and no timestamps, only the order of events.",)
    return Dataset.build(events, catalog, profiles, name=name, notes=notes)


def read_latest_small(folder: Path, name: str) -> Dataset:
    """`ratings.csv`, `movies.csv` and, where it is there, `tags.csv`."""
    ratings, films = need(folder, "ratings.csv", "movies.csv")
    log = pl.read_csv(ratings).rename(
        {"userId": "user_id", "movieId": "item_id", "rating": "value"}
    )
    catalog = pl.read_csv(films).rename({"movieId": "item_id"}).sort("item_id")
    catalog = catalog.select("item_id", "title", _year(), _genres())
    unrated = catalog.join(log, on="item_id", how="anti").height
    notes = [f"{unrated} of {catalog.height:,} films in the catalog were never rated."]
    if (folder / "tags.csv").exists():
        tags = pl.read_csv(folder / "tags.csv", schema_overrides={"tag": pl.String})
        of_film = tags.group_by(item_id="movieId").agg(tags=pl.col("tag").unique().sort())
        catalog = catalog.join(of_film, on="item_id", how="left", maintain_order="left")
        catalog = catalog.with_columns(pl.col("tags").fill_null([]))
        notes.append(
            "Tags are of any date, also later than a split's training events: leave them out where "
            "that matters."
        )
    return Dataset.build(_ratings(log), catalog, name=name, notes=tuple(notes))


def _table(path: Path, separator: str, columns: Columns, skip_rows: int = 0) -> pl.DataFrame:
    """A text table without a header, in UTF-8 or else in Latin-1."""
    content = path.read_bytes()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        content = content.decode("latin-1").encode("utf-8")
    if len(separator) > 1:  # no title has a tab in it
        content, separator = content.replace(separator.encode(), b"\t"), "\t"
    return pl.read_csv(
        content,
        separator=separator,
        schema=columns,
        has_header=False,
        quote_char=None,
        skip_rows=skip_rows,
    )


def _ratings(ratings: pl.DataFrame) -> pl.DataFrame:
    return ratings.with_columns(pl.col("timestamp") * SECOND)


def _year() -> pl.Expr:
    """The last year in brackets of a title, as in "M (1931)" or "Fargo (2014-2024)"."""
    years = pl.col("title").str.extract_all(r"\(\d{4}")
    return years.list.last().str.slice(1).cast(pl.Int32).alias("year")


def _genres() -> pl.Expr:
    known = pl.element().filter(pl.element() != "(no genres listed)")
    return pl.col("genres").str.split("|").list.eval(known)
