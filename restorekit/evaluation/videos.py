"""Compare restored videos with a sharp one, frame by frame: PSNR, SSIM, and how stable they are in time.

The temporal error of a frame is the mean absolute difference, in grey levels of 255, between its change from the frame
before and the same change of the sharp video: 0 for a video that moves as the sharp one does. It shows flicker, which
PSNR and SSIM do not see. Beside a restored video's stands that of its input, where it is given.
"""

import csv
import html
import io
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import UsageError
from restorekit.evaluation.protocol import Protocol
from restorekit.evaluation.scoring import Scorer
from restorekit.evaluation.statistics import mean_interval
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.media.video_reader import VideoReader, read_info
from restorekit.runtime.atomic import write_atomically
from restorekit.runtime.progress import SILENT, Event, Progress, Work

MEASURES = {"psnr": ("PSNR, dB", 2), "ssim": ("SSIM", 4), "temporal_error": ("temporal error, grey levels", 3)}
"""What curves and tables call each, and its decimals."""
WIDTH, HEIGHT = 900, 220  # of a curve, in px
COLOURS = ("#1668b8", "#c2410c", "#15803d", "#7e22ce", "#525252")


@dataclass(frozen=True)
class FrameScores:
    """One frame of one video."""

    video: str
    frame: int
    seconds: float
    """When the sharp video shows it."""
    psnr: float
    ssim: float
    temporal_error: float | None
    """None for the first frame."""


@dataclass(frozen=True)
class VideoComparison:
    """Scores of all frames, and where they are written."""

    scores: tuple[FrameScores, ...]
    report: Path

    def mean(self, video: str, measure: str) -> float:
        """The mean over the frames that have a finite value."""
        values = [getattr(score, measure) for score in self.scores if score.video == video]
        return mean_interval([value for value in values if value is not None]).mean


def compare_videos(
    restored: Mapping[str, Path], sharp: Path, protocol: Protocol, out: Path, progress: Progress = SILENT
) -> VideoComparison:
    """Compare videos with a sharp one, and write results.json, results.csv and report.html.

    Args:
        restored: videos by name, e.g. the restored one and its input. Their frames are compared in their order.
        sharp: the truth.
        protocol: colour, border and SSIM.
        out: where the results go.
        progress: told of every frame.

    Raises:
        UsageError: another number of frames, or of another size.
        UnreadableImage: a video or one of its frames cannot be read.
        UnwritableOutput: the results' folder.
    """
    scorer, scores = Scorer(protocol, 1), []
    infos = {name: read_info(path) for name, path in restored.items()}
    truth = read_info(sharp)
    progress.begin(Work(len(truth.video.times) * len(infos), 0, "frames"))
    for name, info in infos.items():
        before: tuple[NDArray[Any], NDArray[Any]] | None = None
        pairs = itertools.zip_longest(_frames(VideoReader(info)), _frames(VideoReader(truth)))
        for index, (ours, theirs) in enumerate(pairs):
            if ours is None or theirs is None:
                raise UsageError(
                    f"The videos differ in length: one ends with frame {index}.", "Compare the same frames.", info.path
                )
            values = scorer.compare(ours, theirs, grey=False).values
            change = None if before is None else _temporal_error((ours, theirs), before)
            before = ours, theirs
            scores.append(FrameScores(name, index, float(truth.time(index)), values["psnr"], values["ssim"], change))
            progress.step(Event(f"{name}: frame {index}", 1, 0))
    comparison = VideoComparison(tuple(scores), out / "report.html")
    progress.end(comparison)
    _write(comparison, list(infos), truth.path.name, protocol, out)
    return comparison


def _frames(reader: VideoReader) -> Iterator[NDArray[np.uint8]]:
    """(H,W,3), deeper ones rounded."""
    for frame in reader:
        if frame.error is not None:
            raise frame.error
        assert frame.image is not None  # a frame has either
        yield from_unit(to_unit(frame.image.rgb()))


def _temporal_error(now: tuple[NDArray[Any], NDArray[Any]], before: tuple[NDArray[Any], NDArray[Any]]) -> float:
    ours, theirs = (one.astype(np.int16) - earlier for one, earlier in zip(now, before, strict=True))
    return float(np.abs(ours - theirs).mean())


def _write(comparison: VideoComparison, names: Sequence[str], sharp: str, protocol: Protocol, out: Path) -> None:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["video", "frame", "seconds", *MEASURES])
    for score in comparison.scores:
        values = (getattr(score, measure) for measure in MEASURES)
        writer.writerow(
            [score.video, score.frame, score.seconds, *("" if value is None else value for value in values)]
        )
    means = {name: {measure: comparison.mean(name, measure) for measure in MEASURES} for name in names}
    finite = {
        name: {measure: value if math.isfinite(value) else None for measure, value in row.items()}
        for name, row in means.items()
    }
    facts = {"sharp": sharp, "protocol": protocol.name, "frames": len(comparison.scores) // len(names), "means": finite}
    write_atomically(out / "results.csv", table.getvalue().encode())
    write_atomically(out / "results.json", json.dumps(facts, indent=2).encode())
    write_atomically(comparison.report, _page(comparison, names, sharp, protocol).encode())


def _page(comparison: VideoComparison, names: Sequence[str], sharp: str, protocol: Protocol) -> str:
    heads = "".join(f"<th>{title}</th>" for title, _ in MEASURES.values())
    rows = "".join(
        f'<tr><td style="color:{colour}">{html.escape(name)}</td>'
        + "".join(f"<td>{comparison.mean(name, measure):.{places}f}</td>" for measure, (_, places) in MEASURES.items())
        + "</tr>"
        for name, colour in zip(names, itertools.cycle(COLOURS), strict=False)
    )
    curves = "".join(
        f"<h2>{title}</h2>{_curves(comparison, names, measure)}" for measure, (title, _) in MEASURES.items()
    )
    return f"""<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Compared with {html.escape(sharp)}</title>
<style>body{{font:15px sans-serif;max-width:{WIDTH}px;margin:2em auto}}td,th{{padding:.2em 1em;text-align:right}}
td:first-child{{text-align:left}}svg{{background:#f6f6f6}}text{{font-size:11px}}</style>
<h1>Compared with {html.escape(sharp)}</h1><p>{html.escape(protocol.text)} Means over the frames.</p>
<table><tr><th>video</th>{heads}</tr>{rows}</table>{curves}</html>
"""


def _curves(comparison: VideoComparison, names: Sequence[str], measure: str) -> str:
    """One line for each video over the frames; values that are not finite are left out."""
    points = {
        name: [
            (score.frame, value)
            for score in comparison.scores
            if score.video == name and (value := getattr(score, measure)) is not None and math.isfinite(value)
        ]
        for name in names
    }
    every = [point for line in points.values() for point in line]
    if not every:
        return "<p>All frames are equal.</p>"
    last = max(frame for frame, _ in every) or 1
    low, high = min(value for _, value in every), max(value for _, value in every)
    span = high - low or 1.0
    lines = "".join(
        f'<polyline fill="none" stroke="{colour}" points="'
        + " ".join(
            f"{frame / last * WIDTH:.1f},{HEIGHT - 10 - (value - low) / span * (HEIGHT - 20):.1f}"
            for frame, value in points[name]
        )
        + '"/>'
        for name, colour in zip(names, itertools.cycle(COLOURS), strict=False)
    )
    places = MEASURES[measure][1]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}">{lines}<text x="4" y="12">{high:.{places}f}</text>'
        f'<text x="4" y="{HEIGHT - 2}">{low:.{places}f}, frames 0 to {last}</text></svg>'
    )
