"""What a benchmark has left behind, read again: all that a page or figure needs is results.json and the images beside it."""

import base64
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from restorekit.errors import RestorekitError, UsageError
from restorekit.evaluation.preparation import Rgb
from restorekit.evaluation.summary import FORMAT, NO_TEXT, RESULTS_JSON
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
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"The results cannot be read ({error}).", "Run the benchmark again.", path) from None
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        raise UsageError("The results were written by another version of restorekit.", "Run the benchmark again.", path)
    return results


@contextmanager
def drawing(out: Path) -> Iterator[dict[str, Any]]:
    """The results of a benchmark, for whoever shows them.

    Args:
        out: its results' folder.

    Raises:
        UsageError: see `read_results`, or what is in them makes no sense.
    """
    results = read_results(out)
    try:
        yield results
    except RestorekitError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = f"The results are damaged ({type(error).__name__}: {error})."
        raise UsageError(reason, "Run the benchmark again.", out / RESULTS_JSON) from error


def read_kept(out: Path, file: str) -> Rgb:
    """An image that is kept.

    Args:
        out: the results' folder.
        file: of the image, as results.json names it.

    Raises:
        UsageError: it is missing.
        ValueError: it is not in the folder; whoever made the results would choose what the report shows of this machine.
    """
    path = out / file
    if Path(file).anchor or ".." in Path(file).parts:
        raise ValueError(f"{file} lies outside the folder of the results")
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
    return template.read_text(encoding="utf-8").replace("/*DATA*/null", text).encode(errors=NO_TEXT)
