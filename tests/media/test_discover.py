import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from restorekit.errors import UnreadableImage, UsageError
from restorekit.media.decode import read_image
from restorekit.media.discover import Pair, RealPaths, find_images, find_pairs
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


def test_what_is_named_in_a_folder_is_found_as_by_searching_all_of_it(folder: Path) -> None:
    for name in ("out/a.png", ".hidden/a.png", "deeper/.hidden.png", "deeper/still/d.png"):
        put(folder / name)
    (folder / "notes.txt").write_text("no image")
    (folder / "link").symlink_to(folder / "deeper", target_is_directory=True)

    def found(*only: str) -> list[str]:
        return [job.name for job in find_images([folder], [folder / "out"], only=only)]

    assert found("a.png", "notes.txt", ".hidden/a.png", ".hidden", "deeper/.hidden.png") == ["a.png"]
    assert found("deeper", "deeper/b.png") == ["deeper/b.png", "deeper/still/d.png", "deeper/ü c.png"]
    assert found("out", "out/a.png", "link", "link/b.png", "gone", ".") == []


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


def test_what_a_pattern_finds_among_the_results_is_no_input(folder: Path) -> None:
    put(folder / "out" / "a.png")
    put(folder / "out" / "deeper" / "b.png")
    assert relatives(folder / "**" / "*.png", folder / "o*", out=folder / "out") == ["a.png", "b.png", "ü c.png"]


def test_files_linked_into_trees_of_equal_names_keep_their_paths(tmp_path: Path) -> None:
    put(tmp_path / "a" / "x.png")
    elsewhere = put(tmp_path / "elsewhere" / "z.png")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.png").symlink_to(elsewhere)
    assert relatives(tmp_path / "a", tmp_path / "b") == ["a/x.png", "b/x.png"]


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A file at level 1200, and folders beyond the longest path; removed step by step, because rmtree calls itself."""
    before, levels = Path.cwd(), 3200
    os.chdir(tmp_path)
    for level in range(levels):
        if level == 1200:
            put(Path("b.png"))
        Path("d").mkdir()
        os.chdir("d")
    yield tmp_path
    for level in reversed(range(levels)):
        os.chdir("..")
        Path("d").rmdir()
        if level == 1200:
            Path("b.png").unlink()
    os.chdir(before)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such paths there")
def test_a_tree_of_any_depth_is_searched_and_its_unreachable_end_is_listed(deep: Path) -> None:
    image, end = find_images([deep])
    assert image.relative == Path(*["d"] * 1200, "b.png")
    assert 3900 < len(str(end.source)) <= 4100  # the length of a path that Linux takes
    with pytest.raises(UnreadableImage, match="too long"):
        read_image(end.source)


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders there")
def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero").symlink_to("/dev/zero")
    assert relatives(tmp_path) == ["pipe.png"]
    with pytest.raises(UnreadableImage, match="no regular file"):
        read_image(tmp_path / "pipe.png")


def test_a_folder_that_cannot_be_searched_is_listed_and_its_reason_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "in" / "locked" / "a.png")
    put(tmp_path / "in" / "b.png")
    search = os.scandir

    def locked(path: Path) -> object:  # permissions do not stop the administrator, who runs tests in containers
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied")
        return search(path)

    monkeypatch.setattr(os, "scandir", locked)
    assert relatives(tmp_path / "in") == ["b.png", "locked"]
    with pytest.raises(UnreadableImage, match="Permission denied"):
        read_image(tmp_path / "in" / "locked")
    with pytest.raises(UsageError, match="Permission denied"):
        find_images([tmp_path / "in" / "locked"])


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_real_paths_follow_the_links_of_folders_and_files(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    put(root / "real" / "a.png")
    (root / "folder").symlink_to(root / "real")
    (root / "real" / "b.png").symlink_to(root / "elsewhere.png")
    places = RealPaths()
    assert places.split(f"{root}/folder/a.png") == (f"{root}/real", "a.png")
    assert places.split(f"{root}/folder/b.png") == (str(root), "elsewhere.png")
    assert places.parent(f"{root}/folder/b.png") == (f"{root}/real", "b.png")
    assert places.split(f"{root}/absent/c.png") == (f"{root}/absent", "c.png")
