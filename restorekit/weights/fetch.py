"""Fetch weights that others publish: beside the final name, resumed, verified, then renamed."""

import http.client
import io
import json
import socket
import ssl
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import AbstractHTTPHandler, HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from restorekit._version import __version__
from restorekit.errors import WeightsError
from restorekit.runtime.atomic import put_in_place, write_atomically
from restorekit.runtime.progress import SILENT, Event, Progress, Work
from restorekit.runtime.regular import open_without_following
from restorekit.weights import cache, state_dict
from restorekit.weights.manifest import RemoteWeights

CHUNK = 1 << 18
"""Most bytes read at once."""
MB = 10**6
LARGEST = 1 << 32
"""Bytes that no file has; the largest known one has 250 MB."""
LEAST = 1 << 16
"""Bytes of the file that must come within `Patience.slow`."""
TEMPORARY = (408, 416, 425, 429, 500, 502, 503, 504)
"""HTTP statuses after which trying again helps."""


@dataclass(frozen=True)
class Patience:
    """When to give up."""

    stall: float = 30.0
    """Seconds without a byte."""
    attempts: int = 5
    """Failures in a row without progress."""
    pause: float = 1.0
    """Seconds before the second attempt; doubled each time."""
    slow: float = 120.0
    """Seconds in which fewer than `LEAST` bytes of the file came, however many attempts were made."""


class _Interrupted(Exception):
    """The transfer broke in a way that trying again may mend."""


def fetch(entry: RemoteWeights, progress: Progress = SILENT, patience: Patience | None = None) -> bool:
    """Fetch weights into the cache. Several processes may do so at once: one fetches, the others wait for it.

    Args:
        entry: what to fetch; a file whose hash is right is never fetched again, and one that a person put in its place is
            verified and kept.
        progress: told of every chunk; its items are megabytes.
        patience: when to give up.

    Returns:
        Whether anything was downloaded.

    Raises:
        WeightsError: no connection, no such file, not the file that the manifest describes, or a browser is needed.
        UnwritableOutput: the cache cannot be written.
    """
    fetched = [_fetch_file(part, progress, patience or Patience()) for part in entry.parts]
    return any(fetched)


def _fetch_file(entry: RemoteWeights, progress: Progress, patience: Patience) -> bool:
    """Fetch a single file; see `fetch`."""
    if _is_here(entry):
        return False
    with cache.locked(entry.path):
        if _is_here(entry):  # another process has just fetched it
            return False
        if entry.url is None:
            raise WeightsError(f"{entry.name} can only be had with a browser.", manual_hint(entry))
        part = _Part(entry.path, entry.url)
        sha256 = _download(entry, part, progress, patience)
        if entry.sha256 is None:
            cache.record_sha256(entry.path, sha256)
        with cache.writing(entry.path):
            put_in_place(part.path, entry.path)
        part.remove()
    return True


def manual_hint(entry: RemoteWeights) -> str:
    """What a person can do where the program cannot."""
    return (
        f"Open {entry.page} in a browser, save the file as {entry.path}, and run `restorekit models fetch {entry.name}` "
        f"again: it {'verifies the file' if entry.sha256 else 'records its hash'}."
    )


def _is_here(entry: RemoteWeights) -> bool:
    """Whether the right file is in its place.

    Raises:
        WeightsError: another one is, and only a person can replace it.
    """
    if not entry.path.is_file():
        return False
    sha256, expected = state_dict.sha256(entry.path), entry.expected_sha256
    if expected is None and entry.size in (None, entry.path.stat().st_size):
        cache.record_sha256(entry.path, sha256)
        return True
    if sha256 != expected and entry.url is None:
        raise WeightsError(
            f"The file is not the one that was published (sha256 {sha256[:12]}).", manual_hint(entry), entry.path
        )
    return sha256 == expected


class _Part:
    """The unfinished file, and beside it what the server said of the whole one.

    Args:
        path: of the finished file.
        url: where it comes from.
    """

    def __init__(self, path: Path, url: str) -> None:
        self.path = path.with_name(f"{path.name}.part")
        self.url = url
        self._facts = path.with_name(f"{path.name}.part.json")

    def length(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def describe(self, version: str, length: int) -> None:
        """Keep what the server says of the whole file: its version (a strong ETag or date) and its length in bytes."""
        write_atomically(self._facts, json.dumps({"url": self.url, "version": version, "length": length}).encode())

    def facts(self) -> tuple[str, int]:
        """What `describe` kept; an empty version and length 0 if nothing is known."""
        try:
            facts: dict[str, Any] = json.loads(self._facts.read_text(encoding="utf-8"))
            version, length = str(facts["version"]), int(facts["length"])
        except (OSError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError):  # absent, torn or spoilt
            return "", 0
        can_be_asked_for = version.isascii() and version.isprintable()
        return (version, length) if facts["url"] == self.url and can_be_asked_for else ("", 0)

    def remove(self) -> None:
        """Forget everything."""
        with cache.writing(self.path):
            self.path.unlink(missing_ok=True)
            self._facts.unlink(missing_ok=True)


def _download(entry: RemoteWeights, part: _Part, progress: Progress, patience: Patience) -> str:
    """Bring the whole file and verify it.

    Returns:
        Its hash.
    """
    resumed = part.length() > 0
    while True:
        _transfer(entry, part, progress, patience)
        sha256 = state_dict.sha256(part.path)
        if entry.sha256 in (None, sha256):
            return sha256
        part.remove()
        if not resumed:
            raise WeightsError(
                f"What {entry.url} sends is not the published file (sha256 {sha256[:12]}, not {entry.sha256:.12}); "
                "it was not kept.",
                manual_hint(entry),
            )
        resumed = False  # the beginning may have been of another file: once more, from the start


def _transfer(entry: RemoteWeights, part: _Part, progress: Progress, patience: Patience) -> None:
    """Try until the whole file is here, or too often in vain."""
    failures, best, pace = 0, part.length(), _Pace(entry, patience.slow)
    while True:
        try:
            _attempt(entry, part, progress, patience.stall, pace)
            return
        except _Interrupted as error:
            failures = 0 if part.length() > best else failures + 1
            best = max(best, part.length())
            if failures >= patience.attempts:
                raise WeightsError(
                    f"{entry.url} could not be fetched: {error}, {failures} times.",
                    "Check the connection and run the same command again: it continues where it stopped. "
                    f"Or: {manual_hint(entry)}",
                ) from None
            time.sleep(patience.pause * 2**failures)


class _Pace:
    """Gives up where the file comes too slowly.

    A timeout of the socket does not: a server can send a byte just in time, headers or answers "100 Continue" without end,
    or one byte a connection.

    Args:
        entry: what is fetched.
        slow: see `Patience`.
    """

    def __init__(self, entry: RemoteWeights, slow: float) -> None:
        self.entry, self.slow = entry, slow
        self._missing, self._end = LEAST, time.monotonic() + slow

    def came(self, count: int) -> None:
        """Bytes of the file have come."""
        self._missing -= count
        if self._missing <= 0:
            self._missing, self._end = LEAST, time.monotonic() + self.slow

    def check(self) -> None:
        """See whether enough has come.

        Raises:
            WeightsError: it has not.
        """
        if time.monotonic() > self._end:
            raise WeightsError(
                f"{self.entry.url} sends less than {LEAST >> 10} KiB of the file in {self.slow:g} s.",
                f"Run the same command again: it continues where it stopped. Or: {manual_hint(self.entry)}",
            )


class _PacedStream(io.RawIOBase):
    """What comes from a socket; every read checks the pace."""

    def __init__(self, raw: io.RawIOBase, pace: _Pace) -> None:
        self._raw, self._pace = raw, pace

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._pace.check()
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _PacedAnswer(http.client.HTTPResponse):
    """An answer whose headers and body are read at a pace."""

    def __init__(self, *args: Any, pace: _Pace, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fp = io.BufferedReader(_PacedStream(self.fp.detach(), pace))


class _PacedHandler(AbstractHTTPHandler):
    """Opens addresses whose answers are read at a pace."""

    def __init__(self, pace: _Pace) -> None:
        super().__init__()
        self._pace = pace

    def do_open(self, http_class: Any, req: Request, **options: Any) -> http.client.HTTPResponse:
        def connection(*args: Any, **more: Any) -> http.client.HTTPConnection:
            made: http.client.HTTPConnection = http_class(*args, **more)
            made.response_class = partial(_PacedAnswer, pace=self._pace)  # type: ignore[assignment]
            return made

        return super().do_open(connection, req, **options)


class _PacedHTTP(_PacedHandler, HTTPHandler):
    pass


class _PacedHTTPS(_PacedHandler, HTTPSHandler):
    pass


class _SafeRedirects(HTTPRedirectHandler):
    """Follows redirects to web addresses, but not from an encrypted address to an open one.

    Args:
        hint: of the error for all others.
    """

    def __init__(self, hint: str) -> None:
        self.hint = hint

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        allowed = ("https",) if urlsplit(req.full_url).scheme == "https" else ("http", "https")
        if urlsplit(newurl).scheme not in allowed:
            raise WeightsError(
                f"{req.full_url} redirects to {newurl}, which is not an {' or '.join(allowed)} address.",
                self.hint,
            )
        fp.close()  # what else it says may have no end, and would be read whole
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _attempt(entry: RemoteWeights, part: _Part, progress: Progress, stall: float, pace: _Pace) -> None:
    """Make one connection: continue if the server can, else begin again.

    Raises:
        _Interrupted: trying again may help.
        WeightsError: trying again is useless.
        UnwritableOutput: the cache cannot be written.
    """
    pace.check()
    present, (version, length) = part.length(), part.facts()
    if not version and entry.sha256 is None:  # a beginning that nothing could vouch for
        present = 0
    if present and present == (length or entry.size):
        return
    headers = {"User-Agent": f"restorekit/{__version__}", "Accept-Encoding": "identity"}
    if present:
        headers["Range"] = f"bytes={present}-"
        if version:
            headers["If-Range"] = version
    opener = build_opener(_PacedHTTP(pace), _PacedHTTPS(pace), _SafeRedirects(manual_hint(entry)))
    try:
        with opener.open(Request(part.url, headers=headers), timeout=stall) as answer:
            _receive(entry, part, answer, present, progress, pace)
    except HTTPError as error:
        if error.code == 416:  # more is here than there
            part.remove()
        if error.code in TEMPORARY:
            raise _Interrupted(f"the server answers {error.code} {error.reason}") from None
        raise WeightsError(f"{part.url} answers {error.code} {error.reason}.", manual_hint(entry)) from None
    except URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise WeightsError(
                f"The certificate of {part.url} is not valid ({error.reason}).", manual_hint(entry)
            ) from None
        if isinstance(error.reason, socket.gaierror):
            raise WeightsError(
                f"There is no connection: {urlsplit(part.url).hostname} is not found, so {part.url} cannot be fetched.",
                f"Connect and run the same command again, or fetch the file elsewhere and save it as {entry.path}.",
            ) from None
        raise _Interrupted(str(error.reason) or type(error.reason).__name__) from None
    except TimeoutError:
        raise _Interrupted(f"nothing came for {stall:g} s") from None
    except (http.client.HTTPException, OSError) as error:
        raise _Interrupted(f"the connection broke ({type(error).__name__})") from None
    except ValueError as error:  # an address or a header that the library cannot parse
        raise WeightsError(f"{part.url} gives an answer that makes no sense ({error}).", manual_hint(entry)) from None


def _receive(
    entry: RemoteWeights,
    part: _Part,
    answer: http.client.HTTPResponse,
    present: int,
    progress: Progress,
    pace: _Pace,
) -> None:
    """Append an answer to the part, or replace the part by it."""
    if answer.headers.get_content_type() == "text/html":
        raise WeightsError(f"{part.url} answers with a web page instead of the file.", manual_hint(entry))
    begin, length = _extent(answer)
    if begin not in (0, present):
        raise _Interrupted("the server sent another part than was asked for")
    if length > LARGEST:
        raise WeightsError(f"{part.url} announces more than {LARGEST >> 30} GiB.", manual_hint(entry))
    if entry.size and length not in (0, entry.size):
        raise WeightsError(f"{part.url} has {length} bytes, not the published {entry.size}.", manual_hint(entry))
    length = length or entry.size or 0
    if not length and entry.sha256 is None and not answer.headers.get("Transfer-Encoding"):
        raise WeightsError(
            f"{part.url} does not say how long the file is: a cut one could not be told.", manual_hint(entry)
        )
    version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    if begin and part.facts()[0] not in ("", version):
        part.remove()
        raise _Interrupted("the server sent a part of another version")
    with cache.writing(part.path):
        part.describe("" if version.startswith("W/") else version, length)
        file = open(part.path, "ab" if begin else "wb", opener=open_without_following)  # noqa: SIM115
    progress.begin(Work(items=max(length // MB - begin // MB, 0), amount=max(length - begin, 0) / MB, unit="MB"))
    received = begin
    with file:
        while received <= (length or LARGEST) and (chunk := answer.read1(CHUNK)):
            with cache.writing(part.path):
                file.write(chunk)
                file.flush()
            pace.came(len(chunk))
            before, received = received, received + len(chunk)
            progress.step(Event(entry.name, items=received // MB - before // MB, amount=len(chunk) / MB))
    if received > (length or LARGEST):
        part.remove()
        raise _Interrupted(f"more than the announced {length or LARGEST} bytes came")
    if received < length:
        raise _Interrupted(f"the answer ended after {received} of {length} bytes")


def _extent(answer: http.client.HTTPResponse) -> tuple[int, int]:
    """Where the answer's bytes begin in the file, and how long the file is (0: not said)."""
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0, answer.length or 0
    try:
        span, _, length = answer.headers["Content-Range"].removeprefix("bytes ").partition("/")
        return int(span.partition("-")[0]), 0 if length == "*" else int(length)
    except (AttributeError, TypeError, ValueError):
        raise _Interrupted("the server sent a part without saying which") from None
