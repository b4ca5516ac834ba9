import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from restorekit.errors import RestorekitError, UnreadableImage, UnwritableOutput
from restorekit.runtime.atomic import HOST, no_room_left, remove_leftovers, replacing, write_atomically


def test_a_file_is_replaced_as_a_whole_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bin"
    write_atomically(path, b"first")
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError])
def test_whatever_happens_on_the_way_the_old_file_stays_and_nothing_is_left(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a.bin"
    write_atomically(path, b"old")

    def stop_half_way() -> None:
        with replacing(path) as beside:
            beside.write_bytes(b"half")
            raise error

    with pytest.raises(UnwritableOutput if error is OSError else error):
        stop_half_way()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_content_is_synced_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (order.append("sync"), sync(descriptor))[1])
    monkeypatch.setattr(os, "replace", lambda *paths: (order.append("rename"), replace(*paths))[1])
    write_atomically(tmp_path / "a.bin", b"x")
    assert order[:2] == ["sync", "rename"]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert path.read_bytes() == b"first"  # the outer one is renamed last
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_as_long_as_the_file_system_allows_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 251 + ".png")
    write_atomically(path, b"x")
    assert path.read_bytes() == b"x"


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions on Windows")
def test_a_new_file_has_the_permissions_that_the_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a.bin", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o640


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnwritableOutput) as caught:
        write_atomically(tmp_path / "file" / "a.bin", b"x")
    assert caught.value.path == tmp_path / "file" / "a.bin"
    assert caught.value.hint


def test_what_a_killed_process_left_is_removed_and_what_others_write_stays(tmp_path: Path) -> None:
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, pathlib, sys; from restorekit.runtime.atomic import replacing\n"
            "with replacing(pathlib.Path(sys.argv[1], 'a.bin')) as beside: beside.write_bytes(b'half'); os._exit(9)",
            str(tmp_path),
        ],
        check=False,
    )
    assert killed.returncode == 9
    (left,) = tmp_path.iterdir()
    other_machine = tmp_path / left.name.replace(HOST, "f" * 8 if HOST != "f" * 8 else "e" * 8)
    not_ours = tmp_path / ".download.part"
    for path in (other_machine, not_ours):
        path.write_bytes(b"x")
    with replacing(tmp_path / "b.bin") as beside:
        beside.write_bytes(b"being written")
        remove_leftovers(tmp_path)
        assert sorted(tmp_path.iterdir()) == sorted([other_machine, not_ours, beside])
    remove_leftovers(tmp_path / "absent")


@pytest.mark.parametrize(("kind", "ends"), [(UnwritableOutput, True), (UnreadableImage, False)])
def test_a_full_disk_is_one_that_cannot_be_written(kind: type[RestorekitError], ends: bool) -> None:
    error = kind("It is full.")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert no_room_left(error) is ends
