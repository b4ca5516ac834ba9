from pathlib import Path

import numpy as np
import pytest

from restorekit.errors import UsageError
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.media.numbered import is_pattern, numbers, pattern_of, stamp


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def test_a_pattern_has_one_number_and_the_suffix_of_an_image() -> None:
    given = ("%06d.png", "a%d.TIFF", "frame.png", "%d-%d.png", "%06d.mp4", "100%.png", "%s.png")
    assert [is_pattern(Path("x", name)) for name in given] == [True, True, False, False, False, False, False]


def test_numbers_follow_one_another_from_the_first_on(tmp_path: Path) -> None:
    touch(tmp_path, "08.png", "09.png", "10.png", "7.png", "08.jpg", "a11.png", "010.png")
    assert numbers(tmp_path / "%02d.png") == range(8, 11)
    touch(tmp_path, "12.png")
    with pytest.raises(UsageError, match=r"11\.png is missing"):
        numbers(tmp_path / "%02d.png")
    with pytest.raises(UsageError, match="no such images"):
        numbers(tmp_path / "b%d.png")


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (("000.png", "001.png"), "%03d.png"),
        (("shot7.jpg", "shot8.jpg", "note.txt", ".cover.png"), "shot%d.jpg"),
        (("08.png", "09.png", "10.png"), "%02d.png"),
        (("0.png", "9.png", "10.png"), "%d.png"),
    ],
)
def test_the_pattern_of_a_folder_is_found(tmp_path: Path, names: tuple[str, ...], pattern: str) -> None:
    assert pattern_of(touch(tmp_path, *names)) == tmp_path / pattern


@pytest.mark.parametrize("names", [("1.png", "a1.png"), ("a.png",), (), ("1.png", "2.jpg")])
def test_a_folder_of_other_images_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="not numbered in one way"):
        pattern_of(touch(tmp_path, *names))


def test_a_change_of_one_image_shows(tmp_path: Path) -> None:
    for number in range(3):
        write_image(Image(np.zeros((4, 4, 3), np.uint8)), tmp_path / f"{number}.png")
    before = stamp(tmp_path / "%d.png")
    write_image(Image(np.ones((4, 4, 3), np.uint8)), tmp_path / "1.png")
    assert stamp(tmp_path / "%d.png") != before
    with pytest.raises(FileNotFoundError):
        stamp(tmp_path / "x%d.png")
