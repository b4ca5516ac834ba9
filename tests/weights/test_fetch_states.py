"""Whatever a server does, a fetch ends with the right file or with a clear error, and the next one can still succeed.

Servers are drawn at random and stand behind a false socket, so that the whole HTTP library takes part and nothing waits.
"""

import hashlib
import io
import itertools
import json
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from restorekit.errors import WeightsError
from restorekit.runtime.progress import Event, Work
from restorekit.weights import fetch as fetching
from restorekit.weights.fetch import Patience, fetch
from restorekit.weights.manifest import RemoteWeights

VERSIONS = {"one": bytes(range(250)) * 4, "two": bytes(range(249, -1, -1)) * 4}
"""The file, and what its publisher puts in its place some day."""
KNOWN = RemoteWeights(
    model="gggan",
    tag="t",
    file="x.pth",
    licence="MIT",
    page="http://weights.test/page",
    paper="p",
    url="http://weights.test/x.pth",
    sha256=hashlib.sha256(VERSIONS["one"]).hexdigest(),
    size=1000,
)
SIZED = KNOWN.model_copy(update={"sha256": None})
UNKNOWN = KNOWN.model_copy(update={"sha256": None, "size": None})


@dataclass(frozen=True)
class Answer:
    """How a server answers one request; the default is honest."""

    status: int = 200
    location: str = ""
    """Of a redirect."""
    version: Literal["one", "two"] = "one"
    tag: Literal["strong", "weak", "none"] = "strong"
    ranges: Literal["kept", "careless", "ignored", "shifted", "unsaid"] = "kept"
    """A careless server continues whatever version the beginning is of."""
    length: Literal["said", "unsaid", "chunked", "longer", "shorter", "huge"] = "said"
    lie: bool = False
    """One byte of the file is another."""
    extra: bool = False
    """More bytes come than the file has."""
    page: bool = False
    """A page for people instead of the file."""
    cut: float = 1.0
    """Share of the answer, headers included, that comes."""
    end: Literal["closed", "reset", "stalled"] = "closed"
    """What happens then."""
    refused: bool = False
    """There is no connection at all."""
    killed: int = 10**6
    """Bytes after which the fetching process is killed."""


HONEST = Answer()


def answers(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[Answer]:
    """Answers of which each field is honest more often than not."""
    honest = {name: st.just(getattr(HONEST, name)) for name in fields}
    return st.builds(Answer, **{name: honest[name] | honest[name] | strange for name, strange in fields.items()})


LOCATIONS = (
    "http://other.test/x.pth",
    "http://weights.test/x.pth",
    "/y.pth",
    "ftp://weights.test/x.pth",
    "file:///etc/passwd",
    "http://[",
    "http://weights.test:port/",
    "",
)
BROKEN = {
    "status": st.sampled_from([204, 301, 302, 307, 403, 404, 416, 429, 500, 503]),
    "location": st.sampled_from(LOCATIONS),
    "tag": st.sampled_from(["weak", "none"]),
    "ranges": st.sampled_from(["careless", "ignored", "shifted", "unsaid"]),
    "page": st.just(True),
    "cut": st.floats(0, 1),
    "end": st.sampled_from(["reset", "stalled"]),
    "refused": st.just(True),
    "killed": st.integers(0, 1000),
    "version": st.just("two"),
}
LYING = BROKEN | {"length": st.sampled_from(["unsaid", "chunked", "longer", "shorter", "huge"]), "lie": st.just(True)}
UNLUCKY = BROKEN | {"length": st.sampled_from(["unsaid", "chunked", "longer", "huge"])}
"""Nobody can tell a lie about a file of which nothing is known."""


def respond(answer: Answer, request: bytes) -> bytes:
    """The bytes of an answer to a GET request."""
    lines = request.decode().split("\r\n")
    asked = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    body, tag = VERSIONS[answer.version], {"strong": f'"{answer.version}"', "weak": 'W/"any"', "none": ""}
    begin = 0
    continued = answer.ranges == "careless" or asked.get("if-range") in (None, tag[answer.tag])
    if answer.ranges != "ignored" and "range" in asked and continued:
        begin = int(asked["range"].removeprefix("bytes=").removesuffix("-"))
    status = 416 if begin >= len(body) else answer.status
    headers = [f"HTTP/1.1 {206 if status == 200 and begin else status} Because"]
    if answer.location:
        headers = ["HTTP/1.1 302 Elsewhere", f"Location: {answer.location}"]
    begin += 7 if answer.ranges == "shifted" and begin else 0
    if begin and answer.ranges != "unsaid":
        headers.append(f"Content-Range: bytes {begin}-{len(body) - 1}/{len(body)}")
    if tag[answer.tag]:
        headers.append(f"ETag: {tag[answer.tag]}")
    headers.append(f"Content-Type: {'text/html' if answer.page else 'application/octet-stream'}")
    sent = bytearray(body[begin:])
    if answer.lie and sent:
        sent[len(sent) // 2] ^= 255
    if answer.extra:
        sent += b"more"
    if answer.length == "chunked":
        headers.append("Transfer-Encoding: chunked")
        sent = bytearray(b"%x\r\n%s\r\n0\r\n\r\n" % (len(sent), bytes(sent)) if sent else b"0\r\n\r\n")
    elif answer.length != "unsaid":
        said = len(sent) + {"longer": 9, "shorter": -9, "huge": 10**4000}.get(answer.length, 0)
        headers.append(f"Content-Length: {said}")
    whole = "\r\n".join([*headers, "", ""]).encode() + bytes(sent)
    return whole[: round(len(whole) * answer.cut)]


class Stream(io.RawIOBase):
    """What comes from the other side, a hundred bytes at a time."""

    def __init__(self, data: bytes, end: str) -> None:
        self.data, self.end = io.BytesIO(data), end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        piece = self.data.read(min(100, len(buffer)))
        if not piece and self.end != "closed":
            raise TimeoutError if self.end == "stalled" else ConnectionResetError
        buffer[: len(piece)] = piece
        return len(piece)


class Connection:
    """A false socket to a server that gives one answer."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.request = answer, b""

    def sendall(self, data: bytes) -> None:
        self.request += data

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(Stream(respond(self.answer, self.request), self.answer.end))

    def setsockopt(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass


class Kill(BaseException):
    """Ends a fetch as the system would."""


class Killer:
    """Watches a fetch and kills it where the answer says so."""

    def __init__(self) -> None:
        self.answer = HONEST
        self.megabytes = 0.0

    def begin(self, work: Work) -> None:
        self.megabytes = 0.0

    def step(self, event: Event) -> None:
        self.megabytes += event.amount
        if self.megabytes * 1e6 > self.answer.killed:
            raise Kill

    def end(self, summary: object) -> None:
        pass


@contextmanager
def network(script: Sequence[Answer], killer: Killer) -> Iterator[list[Answer]]:
    """Every connection takes the next answer of a script; after the last one the server is honest."""
    left = list(script)

    def connect(*_: object, **__: object) -> Connection:
        killer.answer = left.pop(0) if left else HONEST
        if killer.answer.refused:
            raise ConnectionRefusedError(111, "Connection refused")
        return Connection(killer.answer)

    with tempfile.TemporaryDirectory() as cache, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESTOREKIT_CACHE", cache)
        patch.setenv("no_proxy", "*")
        patch.setattr(socket, "create_connection", connect)
        yield left


def attempt(entry: RemoteWeights, killer: Killer) -> WeightsError | Kill | None:
    """Run `fetch`; how it failed, if it did."""
    try:
        assert fetch(entry, killer, Patience(stall=1.0, attempts=2, pause=0.0))
    except (WeightsError, Kill) as failure:
        return failure
    return None


def fetch_until_it_is_here(entry: RemoteWeights, script: Sequence[Answer], right: set[bytes]) -> None:
    """Run `fetch` again and again, as a user would.

    Args:
        entry: what to fetch.
        script: what the server does before it becomes honest.
        right: contents that the fetched file may have.
    """
    killer = Killer()
    with network(script, killer) as left:
        for _ in range(len(script) + 2):
            honest = not left
            failure = attempt(entry, killer)
            if failure is None:
                assert entry.path.read_bytes() in right
                assert not fetch(entry)
                return
            assert not honest, failure
            assert not entry.path.exists()
            if isinstance(failure, WeightsError):
                assert "http" in failure.reason
                assert str(entry.path) in failure.hint
    raise AssertionError("a fetch used no answer")


@pytest.mark.slow
@given(st.lists(answers(**LYING), max_size=6))
@settings(max_examples=200)
@example([Answer(cut=0.6), Answer(lie=True)])
@example([replace(HONEST, cut=0.6, version="two"), HONEST])
@example([replace(HONEST, location="http://[")])
def test_a_file_of_known_hash_comes_right_or_not_at_all(script: list[Answer]) -> None:
    fetch_until_it_is_here(KNOWN, script, {VERSIONS["one"]})


@pytest.mark.slow
@given(st.lists(answers(**UNLUCKY), max_size=6))
@settings(max_examples=200)
@example([Answer(cut=0.8), Answer(cut=0.9, version="two"), Answer(ranges="ignored", cut=0.5)])
@example([Answer(cut=0.8), Answer(ranges="careless", version="two")])
@example([Answer(length="huge")])
@example([Answer(cut=0.8, length="chunked"), Answer(ranges="shifted")])
@example([Answer(cut=0.8, tag="weak"), Answer(tag="weak", version="two")])
def test_a_file_of_unknown_hash_is_one_version_and_whole(script: list[Answer]) -> None:
    fetch_until_it_is_here(UNKNOWN, script, set(VERSIONS.values()))


@pytest.mark.slow
@given(st.lists(answers(**UNLUCKY, extra=st.just(True)), max_size=6))
@settings(max_examples=100)
@example([Answer(length="unsaid", extra=True)] * 3)
def test_a_file_of_known_size_is_one_version_and_whole(script: list[Answer]) -> None:
    fetch_until_it_is_here(SIZED, script, set(VERSIONS.values()))


@given(st.binary(max_size=300), st.sampled_from([KNOWN, UNKNOWN]))
@settings(max_examples=50)
@example(b"[]", UNKNOWN)
@example(b'{"url": "http://weights.test/x.pth", "version": [], "length": "x"}', KNOWN)
@example(b'{"url": "http://weights.test/x.pth", "version": "", "length": 1e999}', KNOWN)
@example(b'{"url": "http://weights.test/x.pth", "version": "a\\r\\nb", "length": 1000}', UNKNOWN)
@example(b'{"url": "http://weights.test/x.pth", "version": "\xe2\x82\xac", "length": 1000}', UNKNOWN)
@example(b"[" * 100_000, UNKNOWN)
def test_nothing_that_a_killed_fetch_left_stops_the_next(left: bytes, entry: RemoteWeights) -> None:
    with network([], Killer()):
        entry.path.parent.mkdir(parents=True)
        for name in ("x.pth.part", "x.pth.part.json", ".x.pth.lock", "x.pth.sha256"):
            entry.path.with_name(name).write_bytes(left)
        assert fetch(entry, patience=Patience(attempts=2, pause=0.0))
        assert entry.path.read_bytes() == VERSIONS["one"]
        assert {path.suffix for path in Path(entry.path.parent).iterdir()} <= {".pth", ".lock", ".sha256"}


def test_a_beginning_from_another_address_is_not_continued() -> None:
    with network([], Killer()):
        entry = UNKNOWN
        entry.path.parent.mkdir(parents=True)
        entry.path.with_name("x.pth.part").write_bytes(bytes(500))
        facts = {"url": "http://other.test/x.pth", "version": '"one"', "length": 1000}
        entry.path.with_name("x.pth.part.json").write_text(json.dumps(facts))
        assert fetch(entry)
        assert entry.path.read_bytes() == VERSIONS["one"]


def test_a_server_that_sends_less_than_before_makes_no_progress() -> None:
    killer = Killer()
    with network([Answer(ranges="ignored", cut=cut) for cut in (0.9, 0.5, 0.9, 0.5)], killer) as left:
        failure = attempt(KNOWN, killer)
        assert isinstance(failure, WeightsError)
        assert "2 times" in failure.reason
        assert [answer.cut for answer in left] == [0.5]


@pytest.mark.parametrize(("least", "comes"), [(900, False), (300, True)])
def test_a_file_that_comes_too_slowly_is_given_up(monkeypatch: pytest.MonkeyPatch, least: int, comes: bool) -> None:
    clock = itertools.count()  # a second passes between two looks; then come 100 bytes
    monkeypatch.setattr(fetching, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None))
    monkeypatch.setattr(fetching, "LEAST", least)
    with network([], Killer()):
        entry, patience = SIZED, Patience(slow=6.0)
        if comes:
            assert fetch(entry, patience=patience)
        else:
            with pytest.raises(WeightsError, match=r"weights\.test/x\.pth sends less than .* in 6 s.*continues"):
                fetch(entry, patience=patience)


def test_what_a_redirect_says_beside_its_address_is_not_read() -> None:
    class Talkative(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise AssertionError("it may have no end")

    follow, said = fetching._SafeRedirects("a hint"), Talkative()
    follow.redirect_request(fetching.Request(KNOWN.url), said, 302, "", {}, "http://other.test/")  # type: ignore[arg-type]
    assert said.closed
