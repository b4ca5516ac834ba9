"""report.html: tables, scores and images in one file that opens from the disk and asks the network for nothing.

It is made from results.json and the images that are kept beside it, from nothing else: no data set, no network.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from restorekit.evaluation.figure import draw_figure
from restorekit.evaluation.kept import drawing, embed, fill_template, read_kept
from restorekit.evaluation.preparation import Box, Rgb
from restorekit.runtime.atomic import write_atomically

REPORT = "report.html"
TEMPLATE = Path(__file__).parent / REPORT
MAX_SIDE = 1280  # px of an embedded image
ERROR_TOP = 64  # grey levels shown as the brightest colour of an error map


def write_report(out: Path, box: Box | None = None) -> Path:
    """Write the report of a benchmark that has been run, whole or not at all.

    Args:
        out: its results' folder.
        box: what the figure enlarges; see `figure.draw_figure`.

    Returns:
        Path of the report.

    Raises:
        UsageError: results.json or an image that it names is missing, damaged, or of another version.
        UnwritableOutput: the report cannot be written.
    """
    with drawing(out) as results:
        figure = embed(draw_figure(out, results, box)) if results["examples"] else ""
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow lets go of the interpreter
            results["examples"] = list(pool.map(partial(_embed_example, out), results["examples"]))
        write_atomically(out / REPORT, fill_template(TEMPLATE, results | {"figure": figure, "error_top": ERROR_TOP}))
    return out / REPORT


def _embed_example(out: Path, example: dict[str, Any]) -> dict[str, Any]:
    images = {layer["name"]: read_kept(out, layer["file"]) for layer in example["layers"]}
    blurs = {layer["name"]: layer["blur"] for layer in example["layers"] if layer.get("blur")}
    *others, sharp = images
    layers = [
        {
            "name": name,
            "image": embed(_shrink(images[name])),
            "error": embed(_shrink(_error_map(images[name], images[sharp]))),
            "blur": embed(_shrink(read_kept(out, blurs[name])), lossless=True) if name in blurs else "",
        }
        for name in others
    ]
    layers.append({"name": sharp, "image": embed(_shrink(images[sharp])), "error": "", "blur": ""})
    psf = embed(read_kept(out, example["psf"]), lossless=True) if example["psf"] else ""
    return {"item": example["item"], "subset": example["subset"], "psf": psf, "layers": layers}


def _error_map(image: Rgb, sharp: Rgb) -> Rgb:
    """Mean absolute error of the channels in colours."""
    error = np.abs(image.astype(np.int16) - sharp).mean(axis=2)
    levels = np.clip(error * (255 / ERROR_TOP), 0, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1], np.uint8)


def _shrink(rgb: Rgb) -> Rgb:
    """The image, at most `MAX_SIDE` pixels long."""
    longest = max(rgb.shape[:2])
    if longest <= MAX_SIDE:
        return rgb
    size = (round(rgb.shape[1] * MAX_SIDE / longest), round(rgb.shape[0] * MAX_SIDE / longest))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
