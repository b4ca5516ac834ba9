"""Numbered images that are the frames of a video: frames/%06d.png."""

import re
from pathlib import Path

from restorekit.errors import UsageError
from restorekit.media.sniff import SUFFIXES

_NUMBER = re.compile(r"%(?:0(\d))?d")


def is_pattern(path: Path) -> bool:
    """Whether a path names numbered images: a name with one %d or %06d, and the suffix of an image."""
    return len(_NUMBER.findall(path.name)) == 1 and path.suffix.lower() in SUFFIXES


def numbers(pattern: Path) -> range:
    """The numbers of the images of a pattern.

    Raises:
        UsageError: there is none, or one is missing between others.
    """
    number = _NUMBER.search(pattern.name)
    assert number is not None
    before, behind = map(re.escape, (pattern.name[: number.start()], pattern.name[number.end() :]))
    names = [file.name for file in pattern.parent.iterdir()] if pattern.parent.is_dir() else []
    digits = (re.fullmatch(rf"{before}(\d+){behind}", name) for name in names)
    found = {int(match[1]) for match in digits if match and pattern.name % int(match[1]) == match[0]}
    if not found:
        raise UsageError("There are no such images.", "Check the path.", pattern)
    every = range(min(found), max(found) + 1)
    for index in every:
        if index not in found:
            raise UsageError(f"{pattern.name % index} is missing between the others.", "Number them anew.", pattern)
    return every


def numbered_file(pattern: Path, number: int) -> Path:
    """One image of a pattern."""
    return pattern.with_name(pattern.name % number)


def pattern_of(folder: Path) -> Path:
    """The pattern of the numbered images in a folder.

    Raises:
        UsageError: its images are not numbered in one way.
    """
    patterns = set()
    for file in folder.iterdir():
        if file.suffix.lower() in SUFFIXES and not file.name.startswith("."):
            digits = re.search(r"\d*$", file.stem)
            assert digits is not None
            width = f"0{len(digits[0])}" if len(digits[0]) > 1 and digits[0].startswith("0") else ""
            number = f"%{width}d" if digits[0] else ""
            patterns.add(file.stem[: digits.start()].replace("%", "%%") + number + file.suffix)
    # 08.png and 12.png are of one pattern, whose width only the first one tells.
    wide = {pattern for pattern in patterns if re.search(r"%0\dd", pattern)}
    (pattern, *others) = sorted(wide or patterns) or [""]
    if others or not is_pattern(Path(pattern)):
        raise UsageError("The folder's images are not numbered in one way.", "Name them like frames/%06d.png.", folder)
    return folder / pattern


def is_numbered(path: Path) -> bool:
    """Whether a path names numbered images: as their pattern, or as the folder that holds them."""
    if path.is_dir():
        try:
            path = pattern_of(path)
        except UsageError:
            return False
    return is_pattern(path)


def stamp(pattern: Path) -> dict[str, int]:
    """Tell whether numbered images have changed without reading them; see `runtime.provenance.file_stamp`.

    Raises:
        OSError: there are none.
    """
    try:
        states = [numbered_file(pattern, number).stat() for number in numbers(pattern)]
    except UsageError as error:
        raise FileNotFoundError(str(error)) from None
    newest = max(state.st_mtime_ns for state in states)
    return {"files": len(states), "bytes": sum(state.st_size for state in states), "modified": newest}
