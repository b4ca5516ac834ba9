import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.errors import UnwritableOutput
from restorekit.runtime.journal import Journal

IDENTITY = {"model": "gggan-lite", "weights": "4dab"}
KEYS = st.text(min_size=1, max_size=12)
FACTS = st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4) | st.booleans(), max_size=3)


def test_an_entry_counts_under_its_identity_and_facts_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal.jsonl"
    Journal(path, IDENTITY).record("a", {"bytes": 3}, score=1.5)
    again = Journal(path, dict(reversed(IDENTITY.items())))
    entry = again.find("a", {"bytes": 3})
    assert entry is not None
    assert entry["score"] == 1.5
    assert again.find("a", {"bytes": 4}) is None
    assert again.find("b", {"bytes": 3}) is None
    assert Journal(path, IDENTITY | {"precision": "fp16"}).find("a", {"bytes": 3}) is None


def test_the_last_entry_of_a_key_wins(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", IDENTITY)
    journal.record("a", {}, score=1)
    journal.record("a", {}, score=2)
    for seen in (journal, Journal(journal.path, IDENTITY)):
        assert seen.find("a", {}) is not None
        assert seen.find("a", {})["score"] == 2
        assert len(list(seen.entries())) == 1


@pytest.mark.slow
@settings(max_examples=8)
@given(st.lists(st.tuples(KEYS, FACTS), min_size=1, max_size=4))
def test_cut_at_any_byte_it_loses_at_most_the_line_that_was_cut(done: list[tuple[str, dict[str, object]]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "journal.jsonl")
        whole = Journal(path, IDENTITY)
        for key, facts in done:
            whole.record(key, facts)
        data = path.read_bytes()
        lines = data.splitlines(keepends=True)
        for cut in range(len(data) + 1):
            path.write_bytes(data[:cut])
            after = Journal(path, IDENTITY)
            complete = 0
            while (
                complete < len(lines) and sum(map(len, lines[: complete + 1])) <= cut + 1
            ):  # the newline may be missing
                complete += 1
            last = dict(done[:complete])
            assert {entry["key"] for entry in after.entries()} == last.keys()
            assert all(after.find(key, facts) for key, facts in last.items())
            # And what is written next is never lost with it.
            after.record("the next one", {"n": 1})
            assert Journal(path, IDENTITY).find("the next one", {"n": 1})
            assert all(Journal(path, IDENTITY).find(key, facts) for key, facts in last.items() if key != "the next one")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'{"key": 3}',
        b'{"key": "a"',
        b"[" * 100_000,
        b'{"key": "b", "identity": 1}',
    ],
)
def test_a_spoilt_line_is_passed_over(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    first = Journal(path, IDENTITY)
    first.record("a", {})
    path.write_bytes(path.read_bytes() + line + b"\n")
    Journal(path, IDENTITY).record("c", {})
    after = Journal(path, IDENTITY)
    assert after.find("a", {})
    assert after.find("c", {})
    assert after.find("b", {}) is None


def test_compacting_keeps_one_sorted_line_a_key(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path, {"other": "run"}).record("z", {}, score=0)
    journal = Journal(path, IDENTITY)
    for key in ("b", "a", "b"):
        journal.record(key, {}, score=1)
    journal.compact()
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "b", "z"]
    assert Journal(path, IDENTITY).find("b", {})


def test_a_journal_that_cannot_be_written_says_so_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    journal = Journal(tmp_path / "file" / "journal.jsonl", IDENTITY)
    with pytest.raises(UnwritableOutput):
        journal.check()
    Journal(tmp_path / "good" / "journal.jsonl", IDENTITY).check()
    assert (tmp_path / "good" / "journal.jsonl").read_bytes() == b""


@pytest.mark.skipif(sys.platform == "win32", reason="no such files there")
def test_a_journal_follows_no_link_and_waits_for_no_pipe(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (tmp_path / "link").symlink_to(victim)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(UnwritableOutput):
            Journal(tmp_path / name, {}).record("a", {})
    assert victim.read_bytes() == b"mine"


def test_a_nest_that_is_as_deep_as_can_be_read_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path, IDENTITY).record("a", {})
    sound = path.read_bytes()
    for depth in range(850, 1100):
        path.write_bytes(sound.replace(b'"facts": {}', b'"facts": ' + b"[" * depth + b"]" * depth))
        assert Journal(path, IDENTITY).find("a", {}) is None


def test_threads_that_record_at_once_do_not_meet_in_the_file(tmp_path: Path) -> None:
    class Watched(Journal):
        inside = 0

        def _append(self, line: bytes) -> int:
            self.inside += 1
            time.sleep(0.01)  # for the other thread to come
            assert self.inside == 1
            place = super()._append(line)
            self.inside -= 1
            return place

    journal = Watched(tmp_path / "journal.jsonl", {})
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda key: journal.record(key, {}), "abcdef"))
    assert all(journal.find(key, {}) for key in "abcdef")
