"""Names as file systems take them and nobody expects them: results keep them, and none steers anything."""

import json
import os
import re
from collections.abc import Set
from pathlib import Path
from random import Random

from fuzz.harness import Limits
from fuzz.images import sound_images
from fuzz.runs import ENLARGE, Run, contents, restorekit

LIMITS = Limits(seconds=120.0, megabytes=1000.0, hang=600.0)
COUNT = 150
STEERS = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")
PIECES = [
    *(b"a", b" ", b"-", b"--out", b"*", b"?", b"[x]", b"{}", b"%s", b"$HOME", b"`id`", b";", b"&", b"'", b'"', b"\\"),
    *(
        b"\n",
        b"\t",
        b"\x1b[2J",
        b"\x1b]0;title\x07",
        b"\x08",
        b"\x7f",
        b"\x9b31m",
        b"\xc2\x9b31m",
        b"[red]",
        b"[/]",
        b"~",
    ),
    *(
        b":warning:",
        b"=1+1",
        b"<script>",
        b"</script",
        b"<!--",
        b"__proto__",
        b"..",
        b"...",
        b".part",
        b".png.png",
        b"CON",
    ),
    *(b"\xff", b"\xfe\xff", b"\xc3"),
    *(text.encode() for text in ("\u00fc", "u\u0308", "\u202e", "\u2028", "\U0001f600", "\u65e5\u672c")),
]


def prepare(_: Path) -> None:
    """There is nothing that every case needs."""


def make(chance: Random, folder: Path) -> str:
    """Make a folder of odd names, `in`, a third of which belong to files that are no images.

    Returns:
        What kind of case it is.
    """
    image = sound_images()["grey.png"]
    names: set[bytes] = set()
    while len(names) < COUNT:
        stem = b"".join(chance.choices(PIECES, k=chance.randrange(1, 6))).replace(b"/", b"")
        stem *= 60 if chance.random() < 0.1 else 1
        names.add((b"x" * stem.startswith(b".") + stem)[:251] + b".png")  # none is hidden
    for number, name in enumerate(sorted(names)):
        place = folder / "in" / ("" if number % 4 else os.fsdecode(name))
        place.mkdir(parents=True, exist_ok=True)
        (place / os.fsdecode(name)).write_bytes(image if number % 3 else b"no image")
    return f"{COUNT} names"


def check(folder: Path) -> bool:
    """Enlarge the images of a case and make pairs of them, everything twice.

    Returns:
        True: some files fail.

    Raises:
        Exception: a promise was broken.
    """
    before = contents(folder / "in")
    good = {path for path, data in before.items() if data != b"no image"}
    _enlarge(folder, before.keys(), good)
    _make_pairs(folder, good)
    assert contents(folder / "in") == before, "the inputs were touched"
    return True


def _enlarge(folder: Path, names: Set[Path], good: Set[Path]) -> None:
    report, views = folder / "report.jsonl", folder / "views"
    for status in ("done", "skipped"):
        run = restorekit(*ENLARGE, folder / "in", "-o", folder / "out", "--report", report, "--compare", views)
        _check_run(run)
        ends = {line["source"]: line["status"] for line in map(json.loads, report.read_bytes().splitlines())}
        assert ends == {str(folder / "in" / path): status if path in good else "failed" for path in names}
    assert contents(folder / "out").keys() == good
    assert len(contents(views)) == len(good)


def _make_pairs(folder: Path, good: Set[Path]) -> None:
    pairs = folder / "pairs"
    for _ in range(2):
        _check_run(restorekit("synth-blur", folder / "in", "-o", pairs, "--length", "3:5"))
        records = [json.loads(line) for line in (pairs / "pairs.jsonl").read_bytes().splitlines()]
        assert {record["facts"]["source"] for record in records} == {path.as_posix() for path in good}
        halves = {pairs / record[half] for record in records for half in ("blur", "sharp")}
        assert halves == {pairs / path for path in contents(pairs) if path.name != "pairs.jsonl"}


def _check_run(run: Run) -> None:
    assert run.code == 3
    assert b"Traceback" not in run.err
    for said in (run.out, run.err):
        said.decode()
        assert STEERS.search(said) is None, said
