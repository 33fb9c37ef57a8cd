"""MovieLens in each of its forms, at toy size."""

from __future__ import annotations

from pathlib import Path

import pytest

from itemlm.data.dataset import Dataset
from itemlm.data.sources import load

DAY = 86_400  # seconds


def write(folder: Path, files: dict[str, str]) -> Path:
    """A folder with these files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def history(dataset: Dataset, user: int | str) -> list[int | str]:
    return list(dataset.query(user).history)


@pytest.fixture
def ml_100k(tmp_path: Path) -> Path:
    flags = {1: "0|0|0|1|1|1" + "|0" * 13, 2: "0|" * 8 + "1" + "|0" * 10, 3: "1" + "|0" * 18}
    films = {1: "Toy Story (1995)", 2: "Misérables, Les (1995)", 3: "unknown"}
    dates = {1: "01-Jan-1995", 2: "01-Jan-1996", 3: ""}
    return write(
        tmp_path / "ml-100k",
        {
            "u.data": f"1\t2\t5\t{2 * DAY}\n1\t1\t3\t{DAY}\n9\t3\t1\t{DAY}\n",
            "u.item": "".join(f"{i}|{films[i]}|{dates[i]}||http://x|{flags[i]}\n" for i in films),
            "u.user": "9|24|M|technician|85711\n1|53|F|other|V3N4P\n",
        },
    )


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_ml_100k_in_either_encoding(ml_100k: Path, encoding: str) -> None:
    item = ml_100k / "u.item"
    item.write_bytes(item.read_text(encoding="utf-8").encode(encoding))
    dataset = load("ml-100k", ml_100k)
    assert history(dataset, 1) == [1, 2]
    assert dataset.sequences.values is not None
    assert dataset.sequences.values.tolist() == [3.0, 5.0, 1.0]
    assert dataset.catalog.to_dicts() == [
        {
            "item_id": 1,
            "title": "Toy Story (1995)",
            "year": 1995,
            "genres": ["Animation", "Children's", "Comedy"],
        },
        {"item_id": 2, "title": "Misérables, Les (1995)", "year": 1995, "genres": ["Drama"]},
        {"item_id": 3, "title": "unknown", "year": None, "genres": []},
    ]
    assert dataset.profiles is not None
    assert dataset.profiles.to_dicts()[0] == {
        "user_id": 1,
        "age": 53,
        "gender": "F",
        "occupation": "other",
        "zip_code": "V3N4P",
    }


def test_ml_100k_users_may_come_in_recboles_form(ml_100k: Path) -> None:
    (ml_100k / "u.user").unlink()
    heading = "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    (ml_100k / "ml-100k.user").write_text(heading + "1\t53\tF\tother\t01234\n")
    profiles = load("ml-100k", ml_100k).profiles
    assert profiles is not None
    assert profiles["zip_code"].to_list() == ["01234", None]  # user 9 is not listed


@pytest.fixture
def ml_1m(tmp_path: Path) -> Path:
    """Films 1 to 6, rated by 5 people each; film 7 is rated once and film 8 never."""
    ratings = [(user, film) for user in range(1, 6) for film in range(1, 7)] + [(1, 7)]
    # Later films first in the file, earlier ones first in time.
    lines = "".join(f"{user}::{film}::4::{DAY * film}\n" for user, film in reversed(ratings))
    people = "".join(f"{user}::F::1::10::00000\n" for user in range(1, 6))
    folder = write(tmp_path / "ml-1m", {"ratings.dat": lines, "users.dat": people})
    films = "".join(f"{f}::Café: {f} (19{f}0)::Drama|Sci-Fi\n" for f in range(1, 9))
    (folder / "movies.dat").write_bytes(films.encode("latin-1"))
    return folder


def test_ml_1m_is_the_5_core_of_the_official_ratings(ml_1m: Path) -> None:
    dataset = load("ml-1m", ml_1m)
    assert dataset.items.ids.to_list() == [1, 2, 3, 4, 5, 6]
    assert history(dataset, 1) == [1, 2, 3, 4, 5, 6]
    assert any("30 of 31 events, 5 of 5 users and 6 of 8 items" in note for note in dataset.notes)
    first = dataset.catalog.to_dicts()[0]
    assert first == {
        "item_id": 1,
        "title": "Café: 1 (1910)",
        "year": 1910,
        "genres": ["Drama", "Sci-Fi"],
    }
    assert dataset.profiles is not None
    assert dataset.profiles.row(0) == (1, "F", "under 18", "K-12 student", "00000")


def test_ml_1m_core_is_taken_until_nothing_more_falls_out(ml_1m: Path) -> None:
    # User 6 rates films 3 to 6 and film 8. Film 8 has 1 rating and falls; user 6 then has 4 and
    # falls too. So 30 of 30 + 1 + 5 ratings stay.
    with (ml_1m / "ratings.dat").open("a") as file:
        file.writelines(f"6::{film}::4::{DAY}\n" for film in (3, 4, 5, 6, 8))
    dataset = load("ml-1m", ml_1m)
    assert dataset.users.ids.to_list() == [1, 2, 3, 4, 5]
    assert any("30 of 36 events, 5 of 6 users" in note for note in dataset.notes)


def test_ml_1m_prepared_has_the_same_films_and_only_an_order(ml_1m: Path) -> None:
    (ml_1m / "ratings.dat").unlink()
    (ml_1m / "sequences.txt").write_text("1 3 1 2\n2 1\n")
    dataset = load("ml-1m", ml_1m)
    assert history(dataset, 1) == [3, 1, 2]
    assert dataset.sequences.timestamps is None
    assert dataset.items.ids.to_list() == [1, 2, 3]


@pytest.fixture
def latest_small(tmp_path: Path) -> Path:
    return write(
        tmp_path / "ml-latest-small",
        {
            "ratings.csv": "userId,movieId,rating,timestamp\n1,10,0.5,200\n1,2,4.0,100\n",
            "movies.csv": "movieId,title,genres\n2,Jumanji (1995),Adventure|Children\n"
            '10,"Fargo (2014-2024)",(no genres listed)\n11,"Cosmos, The",Sci-Fi\n',
            "tags.csv": "userId,movieId,tag,timestamp\n1,2,fun,5\n2,2,007,6\n3,2,fun,7\n",
        },
    )


def test_latest_small_joins_each_tag_once(latest_small: Path) -> None:
    dataset = load("ml-latest-small", latest_small)
    assert history(dataset, 1) == [2, 10]
    assert dataset.sequences.timestamps is not None
    assert dataset.sequences.timestamps.tolist() == [100_000, 200_000]  # milliseconds
    assert dataset.catalog.select("item_id", "year", "genres", "tags").rows() == [
        (2, 1995, ["Adventure", "Children"], ["007", "fun"]),
        (10, 2014, [], []),
        (11, None, ["Sci-Fi"], []),
    ]
    assert "1 of 3 films in the catalog were never rated." in dataset.notes


def test_latest_small_without_tags_has_no_such_column(latest_small: Path) -> None:
    (latest_small / "tags.csv").unlink()
    assert "tags" not in load("ml-latest-small", latest_small).catalog.columns
