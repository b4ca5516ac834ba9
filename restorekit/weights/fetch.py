"""Fetch weights that others publish: beside the final name, resumed, verified, then renamed."""

import http.client
import json
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from restorekit._version import __version__
from restorekit.errors import UnwritableOutput, WeightsError
from restorekit.weights import state_dict
from restorekit.weights.manifest import RemoteWeights

CHUNK = 1 << 18
"""Most bytes read at once."""
PASSING = (408, 425, 429, 500, 502, 503, 504)
"""HTTP answers after which trying again helps."""

Watch = Callable[[int, int], None]
"""Told the bytes that are here and the bytes there will be (0: unknown)."""


@dataclass(frozen=True)
class Patience:
    """When to give up."""

    stall: float = 30.0
    """Seconds without a byte."""
    attempts: int = 5
    """Failures in a row without progress."""
    pause: float = 1.0
    """Seconds before the second attempt; doubled each time."""


class _Interrupted(Exception):
    """The transfer broke in a way that trying again may mend."""


def fetch(entry: RemoteWeights, watch: Watch = lambda here, total: None, patience: Patience | None = None) -> bool:
    """Bring one weights file into the cache.

    Args:
        entry: what to bring; a file whose hash is right is never fetched again, one that a person put in its place is
            verified and kept.
        watch: told of the progress.
        patience: when to give up.

    Returns:
        Whether anything was downloaded.

    Raises:
        WeightsError: no connection, no such file, not the file that the manifest describes, or a browser is needed.
        UnwritableOutput: the cache cannot be written.
    """
    with _writing(entry.path):
        entry.path.parent.mkdir(parents=True, exist_ok=True)
    if entry.path.is_file():
        digest = state_dict.sha256(entry.path)
        if digest == entry.expected or (not entry.expected and entry.size in (0, entry.path.stat().st_size)):
            _keep(entry, digest)
            return False
        if not entry.url:
            raise WeightsError(
                f"The file is not the one that was published (sha256 {digest[:12]}).", by_hand(entry), entry.path
            )
    if not entry.url:
        raise WeightsError(f"{entry.name} can only be had with a browser.", by_hand(entry))
    part = _Part(entry)
    with part.alone():
        resumed = part.length() > 0
        _transfer(part, watch, patience or Patience())
        fault = _fault(entry, part.path)
        if fault and resumed:  # the beginning may have been of another file
            part.drop()
            _transfer(part, watch, patience or Patience())
            fault = _fault(entry, part.path)
        if fault:
            part.drop()
            raise WeightsError(
                f"What {entry.url} sends is not the published file ({fault}); it was not kept.", by_hand(entry)
            )
        digest = state_dict.sha256(part.path)
    with _writing(entry.path):
        os.replace(part.path, entry.path)
        part.drop()
    _keep(entry, digest)
    return True


def by_hand(entry: RemoteWeights) -> str:
    """What a person can do where the program cannot."""
    return (
        f"Open {entry.page} in a browser, save the file as {entry.path}, and run `restorekit models fetch {entry.name}` "
        + ("again: it verifies the file." if entry.sha256 else "again: it records the file's hash.")
    )


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnwritableOutput(
            f"The cache cannot be written ({error.strerror or error}).",
            "Make room, or name another place in RESTOREKIT_CACHE.",
            path,
        ) from None


def _keep(entry: RemoteWeights, digest: str) -> None:
    """Record the hash of a file for which none is known."""
    if not entry.sha256:
        with _writing(entry.record):
            entry.record.write_text(f"{digest}\n")


def _fault(entry: RemoteWeights, path: Path) -> str:
    size = path.stat().st_size
    if entry.size and size != entry.size:
        return f"{size} bytes, not {entry.size}"
    digest = state_dict.sha256(path)
    return f"sha256 {digest[:12]}, not {entry.sha256[:12]}" if entry.sha256 not in ("", digest) else ""


class _Part:
    """The unfinished file, and beside it what the server said of the whole: address, version, length."""

    def __init__(self, entry: RemoteWeights) -> None:
        self.entry = entry
        self.path = entry.path.with_name(entry.path.name + ".part")
        self.about = entry.path.with_name(entry.path.name + ".part.json")

    def length(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def known(self) -> dict[str, Any]:
        """What was said of the whole file; empty if it was of another address."""
        try:
            found: dict[str, Any] = json.loads(self.about.read_text())
        except (OSError, ValueError):
            return {}
        return found if found.get("url") == self.entry.url else {}

    def drop(self) -> None:
        """Forget everything."""
        self.path.unlink(missing_ok=True)
        self.about.unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from writing the same file, where the system can (not on Windows)."""
        try:
            import fcntl
        except ImportError:
            yield
            return
        lock = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise WeightsError(
                f"Another process is fetching weights of {self.entry.model}.", "Wait for it, then try again.", self.path
            ) from None
        try:
            yield
        finally:
            os.close(lock)


def _transfer(part: _Part, watch: Watch, patience: Patience) -> None:
    """Try until the whole file is here, or too often in vain."""
    failures, best = 0, part.length()
    while True:
        try:
            _attempt(part, watch, patience.stall)
            return
        except _Interrupted as error:
            failures = 0 if part.length() > best else failures + 1
            best = max(best, part.length())
            if failures >= patience.attempts:
                raise WeightsError(
                    f"{part.entry.url} could not be fetched: {error}, {failures} times.",
                    "Check the connection and run the same command again: it continues where it stopped. "
                    f"Or: {by_hand(part.entry)}",
                ) from None
            time.sleep(patience.pause * 2**failures)


class _SafeRedirects(HTTPRedirectHandler):
    """Follows redirects, but not from an encrypted address to an open one."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise WeightsError(f"{req.full_url} redirects to an address that is not encrypted ({newurl}).")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _attempt(part: _Part, watch: Watch, stall: float) -> None:
    """One connection: continue if the server can, else begin again.

    Raises:
        _Interrupted: trying again may help.
        WeightsError: trying again is useless.
    """
    entry, here, known = part.entry, part.length(), part.known()
    version = str(known.get("version", ""))
    if here and not (version or entry.sha256):  # a beginning that nothing could vouch for
        here = 0
    if here and here == (known.get("total") or entry.size):
        return
    headers = {"User-Agent": f"restorekit/{__version__}", "Accept-Encoding": "identity"}
    if here:
        headers["Range"] = f"bytes={here}-"
        if version:
            headers["If-Range"] = version
    try:
        with build_opener(_SafeRedirects).open(Request(entry.url, headers=headers), timeout=stall) as answer:
            _receive(part, answer, here, watch)
    except HTTPError as error:
        if error.code == 416:  # what is here is longer than what is there
            part.drop()
        if error.code in PASSING or error.code == 416:
            raise _Interrupted(f"the server answers {error.code} {error.reason}") from None
        raise WeightsError(f"{entry.url} answers {error.code} {error.reason}.", by_hand(entry)) from None
    except URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise WeightsError(
                f"The certificate of {entry.url} is not valid ({error.reason}).", by_hand(entry)
            ) from None
        if isinstance(error.reason, socket.gaierror):
            raise WeightsError(
                f"There is no connection: {urlsplit(entry.url).hostname} is not found, so {entry.url} cannot be fetched.",
                f"Connect and run the same command again, or fetch the file elsewhere and save it as {entry.path}.",
            ) from None
        raise _Interrupted(str(error.reason) or type(error.reason).__name__) from None
    except TimeoutError:
        raise _Interrupted(f"nothing came for {stall:g} s") from None
    except (http.client.HTTPException, ConnectionError, ssl.SSLError) as error:
        raise _Interrupted(f"the connection broke ({type(error).__name__})") from None


def _receive(part: _Part, answer: http.client.HTTPResponse, here: int, watch: Watch) -> None:
    entry = part.entry
    if answer.headers.get_content_type() == "text/html":
        raise WeightsError(f"{entry.url} answers with a web page instead of the file.", by_hand(entry))
    begin, total = _extent(answer)
    if begin not in (0, here):
        raise _Interrupted("the server sent another part than was asked for")
    if entry.size and total and total != entry.size:
        raise WeightsError(f"{entry.url} has {total} bytes, not the published {entry.size}.", by_hand(entry))
    total = total or entry.size
    if not total and not entry.sha256 and not answer.headers.get("Transfer-Encoding"):
        raise WeightsError(
            f"{entry.url} does not say how long the file is: a cut one could not be told.", by_hand(entry)
        )
    version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    with _writing(part.path):
        part.about.write_text(
            json.dumps({"url": entry.url, "version": "" if version.startswith("W/") else version, "total": total})
        )
        file = part.path.open("r+b" if begin else "wb")
    with file:
        file.seek(begin)
        file.truncate()
        while chunk := answer.read1(CHUNK):
            with _writing(part.path):
                file.write(chunk)
            watch(file.tell(), total)
            if total and file.tell() > total:
                break
        length = file.tell()
    if total and length > total:
        part.drop()
        raise _Interrupted(f"more than the announced {total} bytes came")
    if total and length < total:
        raise _Interrupted(f"the answer ended after {length} of {total} bytes")


def _extent(answer: http.client.HTTPResponse) -> tuple[int, int]:
    """Where the answer's bytes begin in the file, and how long the file is (0: not said)."""
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0, answer.length or 0
    try:
        span, _, total = answer.headers["Content-Range"].removeprefix("bytes ").partition("/")
        return int(span.partition("-")[0]), 0 if total == "*" else int(total)
    except (AttributeError, TypeError, ValueError):
        raise _Interrupted("the server sent a part without saying which") from None
