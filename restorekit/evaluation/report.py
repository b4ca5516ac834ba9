"""report.html: tables, scores and pictures in one file that opens from the disk and asks the network for nothing."""

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.errors import RestorekitError
from restorekit.evaluation.datasets import Item
from restorekit.evaluation.run import Benchmark, Outcome, extremes
from restorekit.runtime.atomic import write_atomically

TEMPLATE = Path(__file__).parent / "report.html"
QUALITY = 90  # WebP: the pictures are for looking, the numbers come from the originals
LARGEST = 1280  # px on a side of an embedded picture
ERROR_TOP = 64  # grey levels shown as the brightest colour of an error map


def write(benchmark: Benchmark, outcome: Outcome, found: dict[str, Any], shown: int = 8) -> Path:
    """Write the report, whole or not at all.

    Args:
        benchmark: what was run; it still knows its pictures.
        outcome, found: its result, and what results.json holds of it.
        shown: pictures that are embedded: the worst and best of the last method, the others evenly spread.

    Raises:
        UnwritableOutput: it cannot be written.
    """
    examples = [_example(benchmark, outcome, item) for item in _chosen(outcome, shown)]
    content = json.dumps(found | {"examples": examples, "error_top": ERROR_TOP}, ensure_ascii=False)
    # Inside a script element only "<" can do harm.
    page = TEMPLATE.read_text(encoding="utf-8").replace("/*DATA*/null", content.replace("<", "\\u003c"))
    path = benchmark.out / "report.html"
    write_atomically(path, page.encode())
    return path


def _chosen(outcome: Outcome, shown: int) -> list[Item]:
    scored = {score.name for score in outcome.scores if score.values}
    items = {item.name: item for item in outcome.found.items if item.name in scored}
    order: list[str] = []
    for part in outcome.sets:
        worst, best = extremes(outcome, outcome.methods[-1].name, part, 2)
        order += [*worst, *best]
    step = max(1, len(items) // max(1, shown))
    order += list(items)[::step]
    return [items[name] for name in list(dict.fromkeys(order))[:shown]]


def _example(benchmark: Benchmark, outcome: Outcome, item: Item) -> dict[str, Any]:
    prepared = benchmark.prepare(item)
    layers = []
    if prepared.task is not None and prepared.task.picture.shape == prepared.sharp.shape:
        layers.append(_layer("input", prepared.task.picture, prepared.sharp))
    scored = {score.method for score in outcome.scores if score.name == item.name and score.values}
    for method in benchmark.methods:
        if method.name not in scored or method.name == "identity":
            continue
        try:
            picture, _ = benchmark.picture(item, method, prepared)
        except RestorekitError:
            continue  # the table says why it failed
        layers.append(_layer(method.name, picture, prepared.sharp))
    layers.append({"name": "sharp", "picture": _embedded(prepared.sharp), "error": ""})
    kernel = ""
    if item.kernel is not None:
        side = max(1, 96 // item.kernel.shape[0])
        levels = (item.kernel / item.kernel.max() * 255).astype(np.uint8)
        kernel = _embedded(np.kron(levels, np.ones((side, side), np.uint8))[..., None].repeat(3, axis=2), lossless=True)
    return {"name": item.name, "set": item.set, "kernel": kernel, "layers": layers}


def _layer(name: str, picture: NDArray[np.uint8], sharp: NDArray[np.uint8]) -> dict[str, str]:
    error = np.abs(picture.astype(np.int16) - sharp).mean(axis=2)
    levels = np.clip(error * (255 / ERROR_TOP), 0, 255).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return {"name": name, "picture": _embedded(picture), "error": _embedded(np.asarray(colours, np.uint8))}


def _embedded(rgb: NDArray[np.uint8], lossless: bool = False) -> str:
    """A picture as the text of a data address."""
    largest = max(rgb.shape[:2])
    if largest > LARGEST:
        factor = LARGEST / largest
        size = (round(rgb.shape[1] * factor), round(rgb.shape[0] * factor))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    quality = 101 if lossless else QUALITY
    _, code = cv2.imencode(".webp", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, quality])
    return "data:image/webp;base64," + base64.b64encode(code.tobytes()).decode()
