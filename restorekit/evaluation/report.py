"""report.html: tables, scores and images in one file that opens from the disk and asks the network for nothing.

It is made from results.json and the images that are kept beside it, from nothing else: no data set, no network.
"""

import base64
import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image

from restorekit.errors import UsageError
from restorekit.evaluation.preparation import Rgb
from restorekit.evaluation.summary import FORMAT, RESULTS_JSON
from restorekit.media.decode import read_rgb8
from restorekit.runtime.atomic import write_atomically

REPORT = "report.html"
TEMPLATE = Path(__file__).parent / REPORT
QUALITY = 90  # WebP: the images are for looking, the numbers come from the originals
EFFORT = 2  # WebP: half the time of the default, and no larger
MAX_SIDE = 1280  # px of an embedded image
ERROR_TOP = 64  # grey levels shown as the brightest colour of an error map


def write_report(out: Path) -> Path:
    """Write the report of a benchmark that has been run, whole or not at all.

    Args:
        out: its results' folder.

    Returns:
        Path of the report.

    Raises:
        UsageError: results.json or an image that it names is missing, damaged, or of another version.
        UnwritableOutput: the report cannot be written.
    """
    results = _read_results(out / RESULTS_JSON)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow lets go of the interpreter
        results["examples"] = list(pool.map(partial(_embed_example, out), results["examples"]))
    content = json.dumps(results | {"error_top": ERROR_TOP}, ensure_ascii=False)
    # Inside a script element only "<" can do harm.
    page = TEMPLATE.read_text(encoding="utf-8").replace("/*DATA*/null", content.replace("<", "\\u003c"))
    write_atomically(out / REPORT, page.encode())
    return out / REPORT


def _read_results(path: Path) -> dict[str, Any]:
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError("There are no results of a benchmark here.", "Run the benchmark first.", path) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"The results cannot be read ({error}).", "Run the benchmark again.", path) from None
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        raise UsageError("The results were written by another version of restorekit.", "Run the benchmark again.", path)
    return results


def _embed_example(out: Path, example: dict[str, Any]) -> dict[str, Any]:
    images = {layer["name"]: _read_kept(out / layer["file"]) for layer in example["layers"]}
    *others, sharp = images
    layers = [
        {"name": name, "image": _embed(images[name]), "error": _embed(_error_map(images[name], images[sharp]))}
        for name in others
    ]
    layers.append({"name": sharp, "image": _embed(images[sharp]), "error": ""})
    psf = _embed(_read_kept(out / example["psf"]), lossless=True) if example["psf"] else ""
    return {"item": example["item"], "subset": example["subset"], "psf": psf, "layers": layers}


def _read_kept(path: Path) -> Rgb:
    if not path.is_file():
        raise UsageError("An image that the report shows is missing.", "Run the benchmark again.", path)
    return read_rgb8(path)


def _error_map(image: Rgb, sharp: Rgb) -> Rgb:
    """Mean absolute error of the channels in colours."""
    error = np.abs(image.astype(np.int16) - sharp).mean(axis=2)
    levels = np.clip(error * (255 / ERROR_TOP), 0, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1], np.uint8)


def _embed(rgb: Rgb, lossless: bool = False) -> str:
    """An image as the text of a data address."""
    longest = max(rgb.shape[:2])
    if longest > MAX_SIDE:
        size = (round(rgb.shape[1] * MAX_SIDE / longest), round(rgb.shape[0] * MAX_SIDE / longest))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    target = io.BytesIO()
    PIL.Image.fromarray(np.ascontiguousarray(rgb)).save(
        target, "WEBP", quality=QUALITY, method=EFFORT, lossless=lossless
    )
    return "data:image/webp;base64," + base64.b64encode(target.getvalue()).decode()
