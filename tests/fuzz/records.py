"""Spoilt records of earlier runs, and files that people write: each is named in an error or passed over."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from video_clips import make_clip

from fuzz.harness import Limits
from restorekit.degradation.pairs import read_pairs, synthesize_pairs
from restorekit.degradation.sheet import draw_sheet
from restorekit.degradation.synthetic_blur import BlurSettings
from restorekit.errors import RestorekitError
from restorekit.evaluation.benchmark import run_benchmark
from restorekit.evaluation.figure import write_figure
from restorekit.evaluation.opinions import read_opinions
from restorekit.evaluation.protocol import load_protocol
from restorekit.evaluation.rating_sheet import write_rating_sheet
from restorekit.evaluation.report import write_report
from restorekit.evaluation.result import BenchmarkRequest
from restorekit.inference.settings import Settings
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.pipeline import videos
from restorekit.pipeline.files import restore_folder
from restorekit.training.recipe import Recipe
from restorekit.training.run import train
from restorekit.weights.manifest import PACKAGE, load_manifest, read_manifest

LIMITS = Limits(seconds=10.0, megabytes=800.0)  # a benchmark measures speed in a process of its own
CPU = Settings("cpu")
RECIPE = Recipe("espcn", steps=2, batch=1, crop=48)
ODD: tuple[object, ...] = (
    *(None, True, -1, 0, 10**30, 1e308, float("nan"), "", "x", "\ud800", "../../x", "\x1b[31m", [], {}, [[]], {"a": 1}),
    "@nest@",
)
_sound = Path()


def prepare(folder: Path) -> None:
    """Do the runs whose records are spoilt."""
    global _sound
    _sound = folder
    chance = np.random.default_rng(0)
    for number in range(4):
        pixels = chance.integers(0, 256, (64, 80, 3), np.uint8)
        write_image(Image(pixels), folder / "images" / f"{number}.png")
    make_clip(folder / "clip" / "a.mp4")
    videos.SEGMENT = 1  # five frames
    os.environ["RESTOREKIT_CACHE"] = str(folder / "cache")
    for name in RUNS:
        with pytest.raises(KeyboardInterrupt) if name == "segments" else _nothing():
            RUNS[name]()
    write = (folder / "opinions.csv").write_text
    write("image,method,rater,score\n" + "".join(f"{n},input,r,{1 + n}\n" for n in range(4)))
    (folder / "weights.toml").write_bytes((PACKAGE.parent / "weights.toml").read_bytes())
    remote = next(entry for entry in load_manifest().remote if entry.sha256 is None)
    remote.path.parent.mkdir(parents=True, exist_ok=True)
    remote.path.write_bytes(b"x")
    remote.path.with_name(f"{remote.path.name}.sha256").write_text("0" * 64)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _restore() -> None:
    summary = restore_folder([_sound / "images"], _sound / "restored", model="bicubic", scale=2, settings=CPU)
    assert summary.count("failed") == 0


def _segments() -> None:
    """A video, of which the first sitting is stopped."""
    restore, computed = videos.restore_to_size, []

    def dying(*arguments: Any) -> Any:
        computed.append(0)
        if len(computed) == 12:
            raise KeyboardInterrupt
        return restore(*arguments)

    if not (_sound / "video").exists():
        videos.restore_to_size = dying
    try:
        summary = restore_folder([_sound / "clip"], _sound / "video", model="bicubic", scale=2, settings=CPU)
        assert summary.count("failed") == 0, summary.results[0].reason
    finally:
        videos.restore_to_size = restore


def _pairs() -> None:
    read_pairs(_sound / "pairs")
    synthesize_pairs([_sound / "images"], _sound / "pairs", settings=BlurSettings(length=(5, 9)))
    draw_sheet(_sound / "pairs")


def _benchmark() -> None:
    request = BenchmarkRequest(load_protocol("pairs"), _sound / "pairs" / "all", models=("gggan-lite",), repeats=1)
    run_benchmark(request, _sound / "benchmark")


def _show() -> None:
    for write in (write_report, write_rating_sheet, write_figure):
        write(_sound / "benchmark")


def _train() -> None:
    train(RECIPE, _sound / "images", _sound / "run", device="cpu", workers=0, validate_every=1)


def _manifest() -> None:
    for entry in read_manifest(_sound / "weights.toml").remote:
        assert entry.name


def _hashes() -> None:
    for entry in load_manifest().remote:
        assert isinstance(entry.expected_sha256, str | None)


RUNS: dict[str, Callable[[], object]] = {
    "restored": _restore,
    "segments": _segments,
    "pairs": _pairs,
    "benchmark": _benchmark,
    "train": _train,
}
RECORDS: dict[str, tuple[str, Callable[[], object]]] = {
    "journal of images": ("restored/.restorekit/restored.jsonl", _restore),
    "journal of segments": ("video/.restorekit/restored.jsonl", _segments),
    "pairs.jsonl": ("pairs/pairs.jsonl", _pairs),
    "journal of a benchmark": ("benchmark/.restorekit/benchmark.jsonl", _benchmark),
    "results.json": ("benchmark/results.json", _show),
    "recipe.json": ("run/recipe.json", lambda: Recipe.from_file(_sound / "run" / "recipe.json")),
    "run.json": ("run/run.json", _train),
    "log.csv": ("run/log.csv", _train),
    "checkpoint.pt": ("run/checkpoint.pt", _train),
    "opinions": ("opinions.csv", lambda: read_opinions(_sound / "opinions.csv")),
    "weights.toml": ("weights.toml", _manifest),
    "a recorded hash": ("*.sha256", _hashes),
}


def make(chance: Random, folder: Path) -> str:
    """Write the spoilt record of a case.

    Returns:
        Which record it is.
    """
    kind = chance.choice(list(RECORDS))
    sound = _place(kind).read_bytes()
    (folder / "kind").write_text(kind)
    spoil = spoil_value if kind.endswith(("json", "jsonl")) or "journal" in kind else spoil_bytes
    if chance.random() < 0.3:
        spoil = spoil_bytes
    (folder / "record").write_bytes(spoil(sound, chance))
    return kind


def check(folder: Path) -> bool:
    """Go on with the run whose record is spoilt, or read the file.

    Returns:
        Whether it was refused.

    Raises:
        Exception: a promise was broken.
    """
    kind = (folder / "kind").read_text()
    place, record = _place(kind), (folder / "record").read_bytes()
    sound = {path: path.read_bytes() for path in place.parent.rglob("*") if path.is_file()}
    place.write_bytes(record)
    try:
        RECORDS[kind][1]()
    except RestorekitError:
        return True
    else:
        return False
    finally:
        for path, content in sound.items():
            if not path.exists() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)


def _place(kind: str) -> Path:
    return next(_sound.rglob(RECORDS[kind][0]))


def spoil_bytes(data: bytes, chance: Random) -> bytes:
    """Bytes changed, lost, repeated, cut off or replaced."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 3, 20))):
        at = chance.randrange(len(changed) + 1)
        odd = chance.choice(ODD_BYTES)
        length = chance.choice((0, 1, len(odd), 50))
        changed[at : at + length] = odd
        if chance.random() < 0.1:
            del changed[chance.randrange(len(changed) + 1) :]
    return bytes(changed)


ODD_BYTES = (
    *(b"\xff", b"\0", b"\n", b'"', b",", b"{", b"}", b"[", b"[" * 100_000, b'{"a":' * 5000, b"\xc3", b"\xed\xa0\x80"),
    *(b"", b"-1", b"1e999", b"NaN", b"\r", b"\xef\xbb\xbf", "\u00fc".encode(), b"\n[[x]]\n", b"=", b"x" * 200_000),
)


def spoil_value(data: bytes, chance: Random) -> bytes:
    """One or two values of JSON lines, at any depth, exchanged for odd ones; the rest stays right."""
    lines = data.splitlines() if len(data.splitlines()) > 1 and data.startswith(b'{"') else [data]
    for _ in range(chance.choice((1, 1, 2))):
        number = chance.randrange(len(lines))
        value = json.loads(lines[number])
        places = list(_places(value))
        if not places:
            break  # an empty list or object
        holder, key = chance.choice(places)
        if chance.random() < 0.2 and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = chance.choice(ODD)
        depth = chance.choice((10, 200, 900, 3000))
        text = json.dumps(value).replace('"@nest@"', "[" * depth + "]" * depth)
        lines[number] = text.encode()
        if depth > 200 and b"[" * 200 in lines[number]:
            break  # it may be too deep to be read again
    return b"\n".join(lines) + b"\n"


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container inside, with each of its keys."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        yield value, key
        yield from _places(inner)
