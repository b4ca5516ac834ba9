"""Fetching against a server on this machine that misbehaves in every way a real one can."""

import hashlib
import http.client
import io
import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from restorekit.cli.app import main
from restorekit.errors import ExitCode, UnwritableOutput, WeightsError
from restorekit.runtime.progress import Event, Work
from restorekit.weights import cache, load, manifest, state_dict
from restorekit.weights import fetch as fetching
from restorekit.weights.fetch import Patience, fetch
from restorekit.weights.load import load_model
from restorekit.weights.manifest import Manifest, RemoteFile, RemoteWeights, load_manifest

BYTES = bytes(range(251)) * 4000  # 1 MB; no two pieces of a power of two are alike
HASTE = Patience(stall=0.25, attempts=3, pause=0.01)


class Server(ThreadingHTTPServer):
    """Does what the current test sets."""

    daemon_threads = True
    body = BYTES
    etag = '"one"'
    date = ""
    faults: list[str]  # one is used up by each request; then the server behaves
    requests: list[dict[str, str]]
    paths: list[str]
    ranges = True
    length = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up early is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        server.requests.append(dict(self.headers))
        server.paths.append(self.path)
        fault = server.faults.pop(0) if server.faults else ""
        self.close_connection = True
        if fault.isdigit():
            self.send_error(int(fault))
            return
        if fault.startswith("to "):
            self.send_response(302)
            self.send_header("Location", fault[3:])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        begin, wanted = 0, self.headers.get("Range", "")
        version = server.etag or server.date
        if server.ranges and wanted and self.headers.get("If-Range", version) == version:
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if begin >= len(server.body):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            begin += 7 if fault == "shifted" else 0
            self.send_header("Content-Range", f"bytes {begin}-{len(server.body) - 1}/{len(server.body)}")
        if server.length:
            self.send_header("Content-Length", str(len(server.body) - begin))
        if server.etag:
            self.send_header("ETag", server.etag)
        if server.date:
            self.send_header("Last-Modified", server.date)
        self.send_header("Content-Type", "text/html" if fault == "page" else "application/octet-stream")
        self.end_headers()
        sent = server.body[begin:]
        sent = sent[: len(sent) // 2] if fault in ("cut", "stall", "reset") else sent
        self.wfile.write(bytes(len(sent)) if fault == "lie" else sent)
        self.wfile.flush()
        if fault == "stall":
            threading.Event().wait(1.0)
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("RESTOREKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    made = Server(("127.0.0.1", 0), Handler)
    made.faults, made.requests, made.paths = [], [], []
    threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def entry(server: Server) -> RemoteWeights:
    address = f"http://127.0.0.1:{server.server_port}"
    return RemoteWeights(
        model="gggan",
        tag="remote-tag",
        file="x.pth",
        licence="MIT",
        page=f"{address}/page",
        paper="p",
        url=f"{address}/x.pth",
        sha256=hashlib.sha256(BYTES).hexdigest(),
        size=len(BYTES),
    )


def changed(entry: RemoteWeights, **fields: object) -> RemoteWeights:
    return entry.model_copy(update=fields)


def unknown(entry: RemoteWeights, **fields: object) -> RemoteWeights:
    """The same file, of which the manifest knows neither hash nor size."""
    return changed(entry, sha256=None, size=None, **fields)


def leftovers(entry: RemoteWeights) -> list[str]:
    """Files in the cache beside the weights; the empty file that is locked stays."""
    return sorted(path.name for path in entry.path.parent.iterdir() if path != entry.path and path.suffix != ".lock")


class Watcher:
    """Keeps what a fetch tells, and stops it where a test wants."""

    def __init__(self, stop_after: float = float("inf")) -> None:
        self.works: list[Work] = []
        self.events: list[Event] = []
        self.stop_after = stop_after

    def begin(self, work: Work) -> None:
        self.works.append(work)

    def step(self, event: Event) -> None:
        self.events.append(event)
        if sum(event.amount for event in self.events) > self.stop_after:
            raise KeyboardInterrupt

    def end(self, summary: object) -> None:
        pass


def test_a_file_comes_whole_verified_and_only_once(server: Server, entry: RemoteWeights) -> None:
    watcher = Watcher()
    assert fetch(entry, watcher, HASTE)
    assert entry.path.read_bytes() == BYTES
    assert watcher.works == [Work(items=1, amount=1.004, unit="MB")]
    assert sum(event.amount for event in watcher.events) == pytest.approx(1.004)
    assert sum(event.items for event in watcher.events) == 1
    assert leftovers(entry) == []
    assert not fetch(entry)
    assert len(server.requests) == 1


def test_weights_in_several_files_come_one_by_one_into_a_folder(server: Server, entry: RemoteWeights) -> None:
    sha256 = hashlib.sha256(BYTES).hexdigest()
    files = tuple(RemoteFile(file=name, sha256=sha256, size=len(BYTES)) for name in ("a.pkl", "b.pkl"))
    folder = changed(entry, file="parts", url=entry.page + "s/", sha256=None, files=files)
    server.faults = ["", "404"]
    with pytest.raises(WeightsError):
        fetch(folder, patience=replace(HASTE, attempts=0))
    assert not folder.is_here
    assert fetch(folder, patience=HASTE)
    assert folder.is_here
    assert [path.read_bytes() for path in sorted(folder.path.glob("*.pkl"))] == [BYTES, BYTES]
    assert server.paths == ["/pages/a.pkl", "/pages/b.pkl", "/pages/b.pkl"]
    assert not fetch(folder)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["cut", "stall", "reset"])
def test_a_broken_transfer_continues_where_it_stopped(server: Server, entry: RemoteWeights, fault: str) -> None:
    # More often than HASTE has attempts, for progress starts the count again; a reset may take all that came with it.
    server.faults = [fault] * (2 if fault == "reset" else 4)
    for weights in (entry, unknown(entry, file="y.pth")):
        fetch(weights, patience=HASTE)
        assert weights.path.read_bytes() == BYTES
    if fault != "reset":
        assert server.requests[1]["Range"] == f"bytes={len(BYTES) // 2}-"
        assert server.requests[1]["If-Range"] == '"one"'


def test_a_killed_fetch_continues_in_the_next_run(server: Server, entry: RemoteWeights) -> None:
    with pytest.raises(KeyboardInterrupt):
        fetch(entry, Watcher(stop_after=0.3))
    assert not entry.path.exists()
    fetch(entry, patience=HASTE)
    assert int(server.requests[-1]["Range"].removeprefix("bytes=")[:-1]) >= 300_000
    assert entry.path.read_bytes() == BYTES


def test_a_server_without_ranges_or_with_a_new_file_sends_it_all_again(server: Server, entry: RemoteWeights) -> None:
    server.faults, server.ranges = ["cut"], False
    fetch(entry, patience=HASTE)
    assert entry.path.read_bytes() == BYTES
    other = unknown(entry, file="y.pth")
    server.faults, server.ranges = ["cut"] * 3, True
    with pytest.raises(WeightsError):
        fetch(other, patience=replace(HASTE, attempts=0))
    server.faults, server.etag, server.body = [], '"two"', BYTES[::-1]
    fetch(other, patience=HASTE)
    assert other.path.read_bytes() == BYTES[::-1]


def test_a_beginning_that_nothing_vouches_for_is_not_continued(server: Server, entry: RemoteWeights) -> None:
    server.faults, server.etag = ["cut"], ""
    fetch(unknown(entry), patience=HASTE)
    assert "Range" not in server.requests[-1]
    assert entry.path.read_bytes() == BYTES


def test_a_date_vouches_for_a_beginning_as_a_tag_does(server: Server, entry: RemoteWeights) -> None:
    server.faults, server.etag, server.date = ["cut"], "", "Tue, 24 Nov 2026 08:00:00 GMT"
    fetch(unknown(entry), patience=HASTE)
    assert server.requests[-1]["If-Range"] == server.date
    assert entry.path.read_bytes() == BYTES


def test_a_kept_beginning_of_another_file_is_found_out_and_dropped(server: Server, entry: RemoteWeights) -> None:
    entry.path.parent.mkdir(parents=True)
    part = entry.path.with_name("x.pth.part")
    for kept in (bytes(1000), bytes(len(BYTES)), bytes(len(BYTES) + 5)):
        part.write_bytes(kept)
        fetch(entry, patience=HASTE)
        assert entry.path.read_bytes() == BYTES
        assert leftovers(entry) == []
        entry.path.unlink()


def test_a_lie_about_the_content_is_refused_and_not_kept(server: Server, entry: RemoteWeights) -> None:
    server.faults = ["lie"]
    with pytest.raises(WeightsError, match="sha256") as caught:
        fetch(entry, patience=HASTE)
    assert entry.page in caught.value.hint
    assert leftovers(entry) == []
    assert not entry.path.exists()
    server.body = BYTES[:-3]
    with pytest.raises(WeightsError, match=f"{len(BYTES) - 3} bytes"):
        fetch(entry, patience=HASTE)
    server.body, server.faults = BYTES, ["cut", "shifted"]
    fetch(unknown(entry), patience=HASTE)
    assert entry.path.read_bytes() == BYTES


def test_a_fetch_killed_before_the_rename_is_not_repeated(server: Server, entry: RemoteWeights) -> None:
    entry.path.parent.mkdir(parents=True)
    entry.path.with_name("x.pth.part").write_bytes(BYTES)
    fetch(entry, patience=HASTE)
    assert entry.path.read_bytes() == BYTES
    assert server.requests == []


@pytest.mark.parametrize("name", ["x.pth.part", "x.pth.part.json"])
def test_links_in_the_cache_are_not_written_through(
    server: Server, entry: RemoteWeights, tmp_path: Path, name: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(BYTES[:1000])
    entry.path.parent.mkdir(parents=True)
    entry.path.with_name(name).symlink_to(victim)
    with pytest.raises(UnwritableOutput) if name.endswith("part") else nullcontext():
        fetch(entry, patience=HASTE)
    assert victim.read_bytes() == BYTES[:1000]


def test_a_kept_beginning_excuses_one_wrong_file_and_not_two(server: Server, entry: RemoteWeights) -> None:
    entry.path.parent.mkdir(parents=True)
    entry.path.with_name("x.pth.part").write_bytes(bytes(1000))
    server.faults = ["lie"] * 3
    with pytest.raises(WeightsError, match="sha256"):
        fetch(entry, patience=HASTE)
    assert server.faults == ["lie"]


@pytest.mark.parametrize("fault", ["404", "410", "403", "page"])
def test_answers_that_will_not_change_end_at_once(server: Server, entry: RemoteWeights, fault: str) -> None:
    server.faults = [fault]
    with pytest.raises(WeightsError) as caught:
        fetch(entry, patience=HASTE)
    assert len(server.requests) == 1
    assert entry.url in str(caught.value)
    assert entry.page in caught.value.hint
    assert caught.value.exit_code == ExitCode.WEIGHTS


def test_a_server_in_trouble_is_asked_again_but_not_for_ever(server: Server, entry: RemoteWeights) -> None:
    server.faults = ["500", "503"]
    fetch(entry, patience=HASTE)
    assert entry.path.read_bytes() == BYTES
    entry.path.unlink()
    server.faults = ["500"] * 9
    with pytest.raises(WeightsError, match=r"answers 500.*3 times"):
        fetch(entry, patience=HASTE)


def test_redirects_are_followed_but_not_out_of_encryption(server: Server, entry: RemoteWeights) -> None:
    server.faults = ["to /other/x.pth", "cut", "to /other/x.pth"]
    fetch(entry, patience=HASTE)
    assert entry.path.read_bytes() == BYTES
    follow = fetching._SafeRedirects("the hint")
    request = fetching.Request("https://example.org/x")
    with pytest.raises(WeightsError, match=r"not an https address\. the hint"):
        follow.redirect_request(request, None, 302, "", {}, "http://example.org/x")  # type: ignore[arg-type]
    assert follow.redirect_request(request, io.BytesIO(), 302, "", {}, "https://example.org/y") is not None  # type: ignore[arg-type]


def test_a_file_of_unknown_length_needs_a_hash(server: Server, entry: RemoteWeights) -> None:
    server.length = False
    fetch(entry, patience=HASTE)
    assert entry.path.read_bytes() == BYTES
    with pytest.raises(WeightsError, match="how long"):
        fetch(unknown(entry, file="y.pth"), patience=HASTE)


def test_without_a_connection_the_address_and_a_hint_are_told(
    entry: RemoteWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with monkeypatch.context() as offline:
        offline.setattr(socket, "getaddrinfo", nobody)
        with pytest.raises(WeightsError, match=r"no connection.*example\.org/x\.pth") as caught:
            fetch(changed(entry, url="https://example.org/x.pth"), patience=HASTE)
    assert str(entry.path) in caught.value.hint
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/x.pth"
        with pytest.raises(WeightsError, match=r"could not be fetched.*same command again"):
            fetch(changed(entry, url=closed), patience=HASTE)


def test_a_certificate_that_is_not_valid_ends_the_fetch_at_once(
    entry: RemoteWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def distrust(_: object) -> None:
        calls.append(1)
        raise ssl.SSLCertVerificationError("self-signed certificate")

    monkeypatch.setattr(http.client.HTTPSConnection, "connect", distrust)
    with pytest.raises(WeightsError, match=r"certificate of https://example\.org/x\.pth is not valid.*self-signed"):
        fetch(changed(entry, url="https://example.org/x.pth"), patience=HASTE)
    assert calls == [1]


def test_a_page_for_browsers_is_told_and_a_file_put_there_by_hand_is_verified(
    server: Server, entry: RemoteWeights
) -> None:
    manual = changed(entry, url=None)
    with pytest.raises(WeightsError, match="browser") as caught:
        fetch(manual)
    assert manual.page in caught.value.hint
    assert str(manual.path) in caught.value.hint
    manual.path.write_bytes(b"<html>quota exceeded</html>")
    with pytest.raises(WeightsError, match="not the one that was published"):
        fetch(manual)
    manual.path.write_bytes(BYTES)
    assert not fetch(manual)
    assert server.requests == []


def test_an_unknown_hash_is_recorded_and_compared_afterwards(server: Server, entry: RemoteWeights) -> None:
    loose = unknown(entry)
    fetch(loose, patience=HASTE)
    assert loose.expected_sha256 == hashlib.sha256(BYTES).hexdigest()
    assert not fetch(loose)
    loose.path.write_bytes(BYTES[:-1])
    assert fetch(loose, patience=HASTE)  # damaged since
    assert loose.path.read_bytes() == BYTES


def test_a_cut_file_put_there_by_hand_is_not_recorded_as_right(server: Server, entry: RemoteWeights) -> None:
    sized = changed(entry, sha256=None)
    sized.path.parent.mkdir(parents=True)
    sized.path.write_bytes(BYTES[:-1])
    with pytest.raises(WeightsError, match="not the one that was published"):
        fetch(changed(sized, url=None))
    assert sized.expected_sha256 is None
    assert fetch(sized, patience=HASTE)
    assert sized.path.read_bytes() == BYTES


def test_two_fetches_at_once_download_once_and_both_succeed(server: Server, entry: RemoteWeights) -> None:
    server.faults = ["stall", "stall"]  # the first is still at it when the second comes
    fresh: list[bool] = []
    threads = [threading.Thread(target=lambda: fresh.append(fetch(entry, patience=HASTE))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fresh) == [False, True]
    assert len(server.requests) == 3
    assert entry.path.read_bytes() == BYTES


@pytest.mark.slow
def test_another_process_waits_for_the_one_that_fetches(server: Server, entry: RemoteWeights) -> None:
    program = (
        "import json, sys\n"
        "from restorekit.weights.fetch import fetch\n"
        "from restorekit.weights.manifest import RemoteWeights\n"
        "entry = RemoteWeights(**json.loads(sys.argv[1]))\n"
        "print('begins', flush=True)\n"
        "print(fetch(entry))"
    )
    with cache.locked(entry.path):
        other = subprocess.Popen(
            [sys.executable, "-c", program, json.dumps(entry.model_dump())], stdout=subprocess.PIPE, text=True
        )
        assert other.stdout is not None
        assert other.stdout.readline() == "begins\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(timeout=0.5)
        assert server.requests == []
        entry.path.write_bytes(BYTES)
    assert other.communicate(timeout=30)[0] == "False\n"
    assert server.requests == []


def test_a_cache_that_cannot_be_written_is_named(entry: RemoteWeights, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(UnwritableOutput, match="RESTOREKIT_CACHE"):
        fetch(entry)


@pytest.fixture
def listed(server: Server, entry: RemoteWeights, weights_file: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteWeights:
    """The manifest has remote weights of a model that has bundled ones, and of one that has none."""
    state = {f"module.{name}": tensor.float() for name, tensor in state_dict.load(weights_file).items()}
    made = Path(weights_file).with_name("published.pth")
    torch.save({"state_dict": state}, made)
    server.body = made.read_bytes()
    lite = changed(entry, model="gggan-lite", sha256=state_dict.sha256(made), size=len(server.body))
    use_manifest(monkeypatch, Manifest(bundled=load_manifest().bundled, remote=(lite, changed(entry, url=None))))
    return lite


def use_manifest(monkeypatch: pytest.MonkeyPatch, chosen: Manifest) -> None:
    for module in (manifest, load):
        monkeypatch.setattr(module, "load_manifest", lambda: chosen)


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["restorekit", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def test_fetched_weights_are_taken_by_their_tag(
    server: Server, listed: RemoteWeights, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(WeightsError, match="models fetch gggan-lite:remote-tag"):
        load_model("gggan-lite", "remote-tag")
    assert run("models", "fetch", "gggan-lite", "--dry-run", monkeypatch=monkeypatch) == ExitCode.OK
    shown = capsys.readouterr().out
    for word in (listed.url, str(listed.path), "MIT", "would be fetched"):
        assert word in shown
    assert server.requests == []
    assert run("models", "fetch", "gggan-lite:remote-tag", monkeypatch=monkeypatch) == ExitCode.OK
    assert "fetched, verified" in capsys.readouterr().out
    assert load_model("gggan-lite", "remote-tag").provenance.sha256 == listed.sha256
    use_manifest(monkeypatch, Manifest(remote=(listed,)))
    assert load_model("gggan-lite").provenance.weights == "remote-tag"  # nothing is bundled any more
    assert run("models", "verify", monkeypatch=monkeypatch) == ExitCode.OK
    for damaged, reason in ((b"\x80damaged", "not the one the manifest describes"), (b"damaged", "no weights file")):
        listed.path.write_bytes(damaged)
        with pytest.raises(WeightsError, match=rf"{reason}.*models fetch gggan-lite:remote-tag"):
            load_model("gggan-lite", "remote-tag")
    assert run("models", "verify", monkeypatch=monkeypatch) == ExitCode.WEIGHTS
    assert "models fetch gggan-lite:remote-tag" in capsys.readouterr().err


def test_the_command_fetches_what_it_can_and_says_what_it_cannot(
    listed: RemoteWeights, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("models", "fetch", "gggan", "gggan-lite", monkeypatch=monkeypatch) == ExitCode.WEIGHTS
    shown = capsys.readouterr()
    assert listed.path.is_file()
    assert "gggan:remote-tag can only be had with a browser" in shown.err
    assert "gggan-lite:remote-tag: fetched" in shown.out
    assert run("models", "fetch", "gggan-lite:moon", monkeypatch=monkeypatch) == ExitCode.WEIGHTS
    assert "The tags are remote-tag" in capsys.readouterr().err
