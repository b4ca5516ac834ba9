"""Servers that lie: whatever one does, a fetch ends soon, with the right file or an error, and the next can succeed."""

import gzip
import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from fuzz.harness import Limits
from restorekit.errors import WeightsError
from restorekit.weights import fetch as fetching
from restorekit.weights.fetch import Patience, fetch
from restorekit.weights.manifest import RemoteWeights

LIMITS = Limits(megabytes=50.0)
BODY = bytes(range(251)) * 400
"""The file: 100 kB."""
ENOUGH = 3_000_000
"""Bytes after which a transfer is given up whose length nobody states."""
HASTE = Patience(stall=0.1, attempts=2, pause=0.01, slow=0.2)
SOON = 60.0
"""Seconds in which a fetch ends, however busy the machine is; most take none, slow servers a fraction of one."""
SHA256 = hashlib.sha256(BODY).hexdigest()
KNOWN: tuple[dict[str, object], ...] = ({"sha256": SHA256, "size": len(BODY)}, {"sha256": SHA256})
ENTRIES = (*KNOWN, {"size": len(BODY)}, {})
"""What the manifest may say of the file."""


def prepare(_: Path) -> None:
    """Set what holds for every case."""
    fetching.LARGEST = ENOUGH
    os.environ["no_proxy"] = "*"


def make(chance: Random, folder: Path) -> str:
    """Choose the lie of a case and what the manifest knows.

    Returns:
        The lie.
    """
    lie = chance.choice(list(LIES))
    known = chance.choice(ENTRIES)
    (folder / "case.json").write_text(json.dumps({"lie": lie, "known": known, "seed": chance.getrandbits(32)}))
    return lie


def check(folder: Path) -> bool:
    """Fetch from the server of a case, and again when it has become honest.

    Returns:
        Whether the first fetch was given up.

    Raises:
        Exception: a promise was broken.
    """
    os.environ["RESTOREKIT_CACHE"] = str(folder / "cache")
    case = json.loads((folder / "case.json").read_text())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = _Server(listening, LIES[case["lie"]], Random(case["seed"]))
        threading.Thread(target=server.serve, daemon=True).start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        entry = RemoteWeights(
            model="gggan",
            tag="t",
            file="x.pth",
            licence="MIT",
            page=f"{address}/page",
            paper="p",
            url=f"{address}/x.pth",
            **case["known"],
        )
        begun, failure = time.monotonic(), None
        try:
            fetch(entry, patience=HASTE)
        except WeightsError as error:
            failure = error
        assert time.monotonic() - begun < SOON, "it took too long"
        for path in (folder / "cache").rglob("*"):
            assert not path.is_file() or path.stat().st_size <= ENOUGH + fetching.CHUNK, "too much was written"
        if failure is not None:
            assert address in failure.reason, "the server is not named"
            assert len(failure.reason) < 1000, "the error is as long as the answer"
            assert not entry.path.exists(), "a file is there that could not be fetched"
            server.lie = None
            fetch(entry, patience=Patience(attempts=4, pause=0.01))
        if entry.sha256 or (failure is not None and case["lie"] != "wrong part"):  # whose bytes only a hash can tell
            assert entry.path.read_bytes() == BODY, "another file"
        return failure is not None


class _Server:
    """Answers one connection after the other.

    Args:
        listening: the socket.
        lie: what it does; None to be honest.
        chance: for the lie.
    """

    def __init__(self, listening: socket.socket, lie: "Lie | None", chance: Random) -> None:
        self.listening, self.lie, self.chance = listening, lie, chance

    def serve(self) -> None:
        self.listening.settimeout(0.5)  # closing a socket wakes nobody who waits for it
        while True:
            try:
                connection = self.listening.accept()[0]
            except TimeoutError:
                continue
            except OSError:  # the case is over
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(4096) or b"\r\n\r\n"
                begin = 0
                if b"Range: bytes=" in request:
                    begin = int(request.partition(b"Range: bytes=")[2].partition(b"-")[0])
                for piece in self.lie(self.chance, begin) if self.lie else whole(begin):
                    connection.sendall(piece)
            except (OSError, ValueError):  # the client has hung up
                pass


Lie = Callable[[Random, int], Iterator[bytes]]
"""The pieces of an answer to a request for the file from a byte on."""


def head(*lines: str, status: str = "200 OK") -> bytes:
    """The beginning of an answer."""
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def whole(begin: int, *lines: str, body: bytes = BODY, tag: str = '"one"') -> Iterator[bytes]:
    """An honest answer, with more header lines."""
    part = (f"Content-Range: bytes {begin}-{len(body) - 1}/{len(body)}",) if begin else ()
    length = f"Content-Length: {len(body) - begin}"
    yield head(length, f"ETag: {tag}", *part, *lines, status="206 Partial" if begin else "200 OK")
    yield body[begin:]


def slowly(pieces: Iterator[bytes] | list[bytes]) -> Iterator[bytes]:
    """Byte by byte, never stalling."""
    for piece in pieces:
        for byte in piece:
            yield bytes([byte])
            time.sleep(0.02)


def for_ever(piece: bytes, chance: Random) -> Iterator[bytes]:
    """A piece again and again, at full speed or slowly."""
    pause = chance.choice((0.0, 0.05))
    piece *= 1 if pause else 1 + 10_000 // len(piece)
    while True:
        yield piece
        time.sleep(pause)


def drips_body(_: Random, begin: int) -> Iterator[bytes]:
    yield head(f"Content-Length: {len(BODY) - begin}")
    yield from slowly([BODY[begin:]])


def drips_headers(_: Random, begin: int) -> Iterator[bytes]:
    yield from slowly(whole(begin, f"X: {'x' * 60_000}"))


def endless_headers(chance: Random, _: int) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    yield from for_ever(chance.choice((b"X: x\r\n", b"x", b" \r\n", b"X: \xff\xfe\r\n")), chance)


def endless_status(chance: Random, _: int) -> Iterator[bytes]:
    yield from for_ever(chance.choice((b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 ", b"\r\n", b"\0")), chance)


def endless_body(chance: Random, _: int) -> Iterator[bytes]:
    length = chance.choice((f"Content-Length: {10**12}", f"Content-Length: {'9' * 4000}", "X: x"))
    yield head(length)
    yield from for_ever(b"x" * 1000, chance)


def endless_chunks(chance: Random, _: int) -> Iterator[bytes]:
    yield head("Transfer-Encoding: chunked")
    yield from for_ever(chance.choice((b"1\r\nx\r\n", b"0" * 30, b"3e8\r\n" + b"x" * 1000 + b"\r\n")), chance)


def endless_trailers(chance: Random, _: int) -> Iterator[bytes]:
    yield head("Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)
    yield from for_ever(b"X: x\r\n", chance)


def endless_redirect(chance: Random, _: int) -> Iterator[bytes]:
    yield head("Location: /x.pth", "Transfer-Encoding: chunked", status="302 Elsewhere")
    yield from for_ever(b"3e8\r\n" + b"x" * 1000 + b"\r\n", chance)


def endless_error(chance: Random, _: int) -> Iterator[bytes]:
    yield head(status=chance.choice(("404 Gone", "500 Broken", "416 Range", "401 No")))
    yield from for_ever(b"x" * 1000, chance)


def redirects(chance: Random, _: int) -> Iterator[bytes]:
    places = ("/x.pth", f"/{chance.getrandbits(32)}", "//", "http://[", "http://a..b/", f"http://{'a' * 70}.test/", "")
    others = ("file:///etc/passwd", "ftp://a/", "data:,x", "javascript:1", "http://127.0.0.1:1/", "/" + "y" * 60_000)
    yield head(f"Location: {chance.choice(places + others)}", "Content-Length: 0", status="302 Elsewhere")


def wrong_length(chance: Random, begin: int) -> Iterator[bytes]:
    length = chance.choice(("0", "1", "-1", "x", "1e5", "1_000", f"{len(BODY) - 1}", f"{len(BODY) + 1}", "9" * 5000))
    again = chance.choice((f"Content-Length: {length}", f"Content-Length: {len(BODY)}", "X: x"))
    yield head(f"Content-Length: {length}", again)
    yield BODY


def wrong_bytes(chance: Random, begin: int) -> Iterator[bytes]:
    other = chance.choice((BODY[::-1], BODY[:-1], BODY + b"x", b"", gzip.compress(BODY), bytes(len(BODY))))
    yield from whole(min(begin, len(other)), body=other)


def wrong_part(chance: Random, begin: int) -> Iterator[bytes]:
    if not begin:
        yield head(f"Content-Length: {len(BODY)}", 'ETag: "one"') + BODY[: len(BODY) // 3]
        return
    first, last, length = begin, len(BODY) - 1, str(len(BODY))
    first = chance.choice((first, first + 7, first - 7, -first, 0))
    length = chance.choice((length, "*", "-1", "x", f"{len(BODY) + 9}", "9" * 4000, ""))
    said = chance.choice((f"Content-Range: bytes {first}-{last}/{length}", "X: x", "Content-Range: x"))
    yield head(said, 'ETag: "one"', status="206 Partial") + BODY[begin:]


def other_version(chance: Random, begin: int) -> Iterator[bytes]:
    """Each request finds another file, and If-Range means nothing."""
    body = chance.randbytes(len(BODY))
    answer = b"".join(whole(begin, body=body, tag=f'"{chance.getrandbits(32)}"'))
    yield answer[: chance.choice((len(answer), len(answer) - 1000, 40_000))]


def one_byte_each(_: Random, begin: int) -> Iterator[bytes]:
    answer = b"".join(whole(begin))
    yield answer[: len(answer) - len(BODY) + begin + 1]


def cut(chance: Random, begin: int) -> Iterator[bytes]:
    answer = b"".join(whole(begin))
    yield answer[: chance.randrange(len(answer))]


def statuses(chance: Random, begin: int) -> Iterator[bytes]:
    code = chance.choice((101, 199, 201, 204, 205, 206, 300, 304, 305, 400, 401, 407, 416, 429, 451, 503, 599, 999))
    reason = chance.choice(("x", "", "\x1b[2J", "\xff", "x" * 60_000))
    yield head(f"Content-Length: {len(BODY)}", status=f"{code} {reason}") + BODY


def odd_headers(chance: Random, begin: int) -> Iterator[bytes]:
    name = chance.choice(("ETag", "Last-Modified", "Content-Type", "Transfer-Encoding", "Content-Encoding", "Location"))
    odd = chance.choice(
        ('"\xff"', '"a\r\n b"', "\0", "\x1b]0;t\x07", "x" * 60_000, "text/html", "gzip", "chunked", "W/")
    )
    answer = b"".join(whole(begin, f"{name}: {odd}", tag=chance.choice(("", odd))))
    yield answer[: chance.choice((len(answer), len(answer) // 2))]


def garbage(chance: Random, _: int) -> Iterator[bytes]:
    yield chance.choice((b"", b"HTTP/9.9 \r\n\r\n", b"200 OK\r\n\r\n", BODY))[:1000] + chance.randbytes(1000)


def silence(chance: Random, begin: int) -> Iterator[bytes]:
    answer = b"".join(whole(begin))
    yield answer[: chance.randrange(len(answer))]
    time.sleep(0.3)


LIES: dict[str, Lie] = {
    lie.__name__.replace("_", " "): lie
    for lie in (
        *(drips_body, drips_headers, endless_headers, endless_status, endless_body, endless_chunks, endless_trailers),
        *(endless_redirect, endless_error, redirects, wrong_length, wrong_bytes, wrong_part, other_version),
        *(one_byte_each, cut, statuses, odd_headers, garbage, silence),
    )
}
