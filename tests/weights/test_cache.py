import sys
from pathlib import Path

import pytest

from restorekit.weights import cache


def test_a_chosen_cache_comes_before_the_place_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "system"))
    monkeypatch.setenv("RESTOREKIT_CACHE", str(tmp_path / "chosen"))
    assert cache.weights_path("gggan", "x.pth") == tmp_path / "chosen" / "weights" / "gggan" / "x.pth"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="each system has its own place")
def test_without_a_choice_the_cache_is_where_the_system_keeps_such_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RESTOREKIT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / "restorekit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.cache_folder() == Path.home() / ".cache" / "restorekit"


def test_a_recorded_hash_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "x.pth"
    assert cache.recorded_sha256(path) is None
    cache.record_sha256(path, "ab" * 32)
    assert cache.recorded_sha256(path) == "ab" * 32


def test_a_spoilt_record_of_a_hash_is_no_hash_and_no_traceback(tmp_path: Path) -> None:
    cache.record_sha256(tmp_path / "x.pth", "ab" * 32)
    (tmp_path / "x.pth.sha256").write_bytes(b"\xff\xc3\xbc")
    assert cache.recorded_sha256(tmp_path / "x.pth") not in (None, "ab" * 32)  # it agrees with no file
