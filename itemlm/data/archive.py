"""Archives from elsewhere: opened without leaving their folder, and read through to find damage."""

from __future__ import annotations

import gzip
import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from itemlm.data.folder import new_folder
from itemlm.types import DataError

_BROKEN = (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile)


def unpack(archive: Path | str, folder: Path | str) -> Path:
    """Open a zip archive into a folder that appears whole or not at all.

    One top folder around everything is left out: `ml-1m/ratings.dat` becomes `ratings.dat`.

    Raises:
        DataError: if it is no zip archive, is damaged, or names a file outside the folder.
    """
    try:
        with zipfile.ZipFile(archive) as opened, new_folder(Path(folder)) as target:
            members = [member for member in opened.infolist() if not member.is_dir()]
            places = [_place(member.filename, archive) for member in members]
            one_top = len({place[0] for place in places}) == 1 and min(map(len, places)) > 1
            for member, place in zip(members, places, strict=True):
                goal = target.joinpath(*place[1:] if one_top else place)
                goal.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, goal.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
    except _BROKEN as error:
        raise DataError(
            f"{archive} is not a whole zip archive ({error}). Delete it and download it again."
        ) from error
    return Path(folder)


def _place(name: str, archive: Path | str) -> tuple[str, ...]:
    """The path parts of a member; refused where they could lead out of the folder."""
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts or "\\" in name or ":" in name:
        raise DataError(f"{archive} names {name!r}, which lies outside its folder; not unpacked.")
    return place.parts


def damage(path: Path, suffix: str) -> str | None:
    """What is wrong with a `.gz` or `.zip` file by its own checksums; None if nothing is.

    Files of other kinds have none of their own, and pass.
    """
    try:
        if suffix == ".gz":
            with gzip.open(path) as opened:
                while opened.read(1 << 20):
                    pass
        elif suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                member = archive.testzip()
                return f"'{member}' in it is damaged" if member else None
    except _BROKEN as error:
        return f"what came is not a whole {suffix} file ({error})"
    return None
