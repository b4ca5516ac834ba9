"""What a benchmark has left behind, read again: all that a page or figure needs is results.json and the images beside it."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from restorekit.errors import UsageError
from restorekit.evaluation.preparation import Rgb
from restorekit.evaluation.summary import FORMAT, RESULTS_JSON
from restorekit.media.decode import read_rgb8

EFFORT = 2  # WebP: half the time of the default, and no larger
QUALITY = 90  # WebP: for looking; the numbers come from the originals


def read_results(out: Path) -> dict[str, Any]:
    """The results of a benchmark.

    Args:
        out: its results' folder.

    Raises:
        UsageError: there are none, or they are damaged or of another version.
    """
    path = out / RESULTS_JSON
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError("There are no results of a benchmark here.", "Run the benchmark first.", path) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"The results cannot be read ({error}).", "Run the benchmark again.", path) from None
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        raise UsageError("The results were written by another version of restorekit.", "Run the benchmark again.", path)
    return results


def read_kept(path: Path) -> Rgb:
    """An image that is kept.

    Raises:
        UsageError: it is missing.
    """
    if not path.is_file():
        raise UsageError("An image that is shown is missing.", "Run the benchmark again.", path)
    return read_rgb8(path)


def embed(rgb: Rgb, lossless: bool = False) -> str:
    """An image as the text of a data address."""
    target = io.BytesIO()
    PIL.Image.fromarray(np.ascontiguousarray(rgb)).save(
        target, "WEBP", quality=QUALITY, method=EFFORT, lossless=lossless
    )
    return "data:image/webp;base64," + base64.b64encode(target.getvalue()).decode()


def fill_template(template: Path, content: object) -> bytes:
    """A page with its data in it, as JSON in the place of `/*DATA*/null`."""
    text = json.dumps(content, ensure_ascii=False).replace("<", "\\u003c")  # only "<" can do harm inside a script
    return template.read_text(encoding="utf-8").replace("/*DATA*/null", text).encode()
