from pathlib import Path

import numpy as np
import pytest

from restorekit.errors import UsageError
from restorekit.media.discover import Pair, find_images, find_pairs
from restorekit.media.encode import write_image
from restorekit.media.image import Image


def put(path: Path) -> Path:
    write_image(Image(np.zeros((4, 4, 3), np.uint8)), path)
    return path


def relatives(*inputs: Path, out: Path | None = None) -> list[str]:
    return [job.relative.as_posix() for job in find_images(inputs, [] if out is None else [out])]


def test_a_folder_keeps_its_tree_and_junk_is_passed_over(folder: Path) -> None:
    assert relatives(folder) == ["a.png", "deeper/b.png", "deeper/ü c.png"]


def test_content_decides_where_the_name_says_nothing(tmp_path: Path) -> None:
    put(tmp_path / "image.dat")
    (tmp_path / "broken.jpg").write_text("claims to be an image, so the run must report it")
    (tmp_path / "table.csv").write_text("1,2")
    assert relatives(tmp_path) == ["broken.jpg", "image.dat"]


def test_output_inside_the_input_does_not_feed_itself(folder: Path) -> None:
    put(folder / "out" / "a.png")
    assert relatives(folder, out=folder / "out") == ["a.png", "deeper/b.png", "deeper/ü c.png"]


def test_results_of_equal_names_do_not_collide(tmp_path: Path) -> None:
    files = [put(tmp_path / "one" / "1.png"), put(tmp_path / "two" / "1.png")]
    assert relatives(*files) == ["one/1.png", "two/1.png"]
    assert relatives(tmp_path / "one", tmp_path / "two") == ["one/1.png", "two/1.png"]


def test_a_file_named_twice_is_restored_once(folder: Path) -> None:
    assert relatives(folder, folder / "a.png", folder / "deeper" / ".." / "a.png") == relatives(folder)


def test_patterns_are_expanded(folder: Path) -> None:
    assert relatives(folder / "**" / "?.png") == ["a.png", "b.png"]


def test_an_absent_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        find_images([tmp_path / "nowhere"])


def test_pairs_are_found_at_any_depth_and_must_be_complete(tmp_path: Path) -> None:
    sharp, blurred = put(tmp_path / "s1" / "sharp" / "1.png"), put(tmp_path / "s1" / "blur" / "1.png")
    assert find_pairs(tmp_path) == [Pair(sharp, blurred)]
    put(tmp_path / "s1" / "sharp" / "2.png")
    with pytest.raises(UsageError, match="no blurred twin"):
        find_pairs(tmp_path)


def test_pairs_keep_their_tree_below_the_two_folders(tmp_path: Path) -> None:
    sharp, blurred = put(tmp_path / "sharp" / "x" / "1.png"), put(tmp_path / "blur" / "x" / "1.png")
    put(tmp_path / "blur" / "y" / "1.png")
    assert find_pairs(tmp_path) == [Pair(sharp, blurred)]
    assert find_pairs(tmp_path / "sharp") == []
