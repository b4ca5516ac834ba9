"""A log of what is done, so that a second run does only what is missing."""

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from restorekit.errors import UnwritableOutput
from restorekit.runtime.atomic import write_atomically, writing
from restorekit.runtime.provenance import canonical, digest
from restorekit.runtime.regular import open_regular, open_without_following

_ONE_LINE = threading.Lock()  # no lock of a journal's own: it travels to other processes


class Journal:
    """One line of JSON for everything that is done, appended when it is done.

    A line holds a key, the digest of an identity, facts, and whatever the caller adds. The identity says what decides every
    result of a run: model, weights, settings, the version of the algorithm. Facts say what decides this one: its input. An
    entry counts if both are still the same. The last line of a key wins.

    A line that is torn (the process was killed, the disk was full) or damaged is passed over, and so never counts as done;
    the lines before and behind it do. Appending is not synced: a lost line costs one result that is made again.

    Args:
        path: the file; it is read now and first written by `record`.
        identity: what decides every result; any value that JSON knows.
    """

    def __init__(self, path: Path, identity: Mapping[str, object]) -> None:
        self.path = path
        self.identity = digest(identity)
        self._places = dict(self._scan())  # where the last line of every key begins: a million fit into memory

    def __contains__(self, key: str) -> bool:
        """Whether there is a line of that key, whatever it says."""
        return key in self._places

    def find(self, key: str, facts: Mapping[str, object]) -> dict[str, Any] | None:
        """The entry of a key, if it was made under this identity from the same facts; else None."""
        entry = None
        if key in self._places:
            with suppress(OSError):
                entry = next(self._entries_at([self._places[key]]), None)
        if entry is None or entry["key"] != key or entry.get("identity") != self.identity:
            return None
        try:
            return entry if canonical(entry.get("facts")) == canonical(facts) else None
        except RecursionError:  # a nest that can be read and just not be written
            return None

    def record(self, key: str, facts: Mapping[str, object], **content: object) -> dict[str, Any]:
        """Append what is done, and return the entry.

        Raises:
            UnwritableOutput: the file cannot be written.
        """
        entry: dict[str, Any] = {"key": key, "identity": self.identity, "facts": dict(facts), **content}
        line = json.dumps(entry, sort_keys=True).encode()
        with _ONE_LINE:  # threads that append at once would not know where their lines begin
            self._places[key] = self._append(line + b"\n")
        return entry

    def entries(self) -> Iterator[dict[str, Any]]:
        """The last entry of every key, whatever its identity, in the order of the keys' first lines."""
        with suppress(OSError):
            yield from self._entries_at(self._places.values())

    def check(self) -> None:
        """See that the file can be written, before work is done for it.

        Raises:
            UnwritableOutput: it cannot.
        """
        self._append(b"")

    def compact(self) -> None:
        """Write the last entry of every key anew, sorted by key, whole or not at all.

        Raises:
            UnwritableOutput: the file cannot be written.
        """
        places = [self._places[key] for key in sorted(self._places)]
        with writing(self.path):
            lines = [json.dumps(entry, sort_keys=True).encode() + b"\n" for entry in self._entries_at(places)]
        write_atomically(self.path, b"".join(lines))
        self._places = dict(self._scan())

    def _scan(self) -> Iterator[tuple[str, int]]:
        """Key and place of every line, in order."""
        with suppress(OSError), open_regular(self.path) as file:
            place = 0
            for line in file:
                entry = _parsed(line)
                if entry is not None:
                    yield entry["key"], place
                place += len(line)

    def _entries_at(self, places: Iterable[int]) -> Iterator[dict[str, Any]]:
        """The entries of lines that begin there.

        Raises:
            OSError: the file cannot be read any more.
        """
        with open_regular(self.path) as file:
            for place in places:
                file.seek(place)
                entry = _parsed(file.readline())
                if entry is not None:
                    yield entry

    def _append(self, line: bytes) -> int:
        """Returns where the line begins."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab+", opener=open_without_following) as file:
                end = file.seek(0, os.SEEK_END)
                if line and end:
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":  # a torn line must not take this one with it
                        end += file.write(b"\n")
                file.write(line)
                return end
        except OSError as error:
            raise UnwritableOutput(
                f"Nothing can be written here ({error.strerror or error}).", "Choose another place.", self.path
            ) from error


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The entry that a line holds; None for anything else."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("key"), str) else None
