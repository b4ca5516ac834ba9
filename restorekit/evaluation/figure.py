"""figure.png, as papers print it: rows of images, columns of methods, a box enlarged where the methods differ most.

It is drawn from results.json and the images that are kept beside it, as the report is.
"""

import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from restorekit.errors import UsageError
from restorekit.evaluation.kept import drawing, read_kept
from restorekit.evaluation.preparation import Box, Rgb
from restorekit.runtime.atomic import write_atomically

FIGURE = "figure.png"
ROWS = 4  # images, of those that the report shows
COLUMN, GAP, LINE = 256, 8, 20  # px: width of a column, between columns and rows, and of a line of text
PARTS = 4  # of the image's width is the box one
INK, PAPER, MARK = (0, 0, 0), (255, 255, 255), (255, 40, 40)


def write_figure(out: Path, box: Box | None = None) -> Path:
    """Draw the figure of a benchmark that has been run.

    Args:
        out: its results' folder.
        box: what is enlarged in every image; by default, in each, where its methods differ most.

    Returns:
        Path of the figure.

    Raises:
        UsageError: see `draw_figure`.
        UnwritableOutput: it cannot be written.
    """
    with drawing(out) as results:
        figure = draw_figure(out, results, box)
    target = io.BytesIO()
    PIL.Image.fromarray(figure).save(target, "PNG")
    write_atomically(out / FIGURE, target.getvalue())
    return out / FIGURE


def draw_figure(out: Path, results: Mapping[str, Any], box: Box | None = None) -> Rgb:
    """The figure of the first images that the report shows: input, methods and the sharp image, with name and PSNR.

    Args:
        out: the results' folder.
        results: see `kept.read_results`.
        box: see `write_figure`.

    Raises:
        UsageError: there are no images, one is missing, or the box does not lie in one.
    """
    examples = results["examples"][:ROWS]
    if not examples:
        raise UsageError("There are no images to draw.", "Let the report hold some with `shown`.", out)
    psnr = {(scores["item"], scores["method"]): scores["values"].get("psnr") for scores in results["scores"]}
    rows = []
    for example in examples:
        images = {layer["name"]: read_kept(out, layer["file"]) for layer in example["layers"]}
        *others, sharp = images.values()
        chosen = box or choose_box(others if len(others) > 1 else [*others, sharp])
        methods = ["identity" if name == "input" else name for name in images]
        captions = [
            (name, _decibels(psnr.get((example["item"], method)))) for name, method in zip(images, methods, strict=True)
        ]
        rows.append(_draw_row(example["item"], list(images.values()), captions, chosen))
    width = max(row.width for row in rows)
    figure = PIL.Image.new("RGB", (width, sum(row.height + GAP for row in rows) - GAP), PAPER)
    top = 0
    for row in rows:
        figure.paste(row, (0, top))
        top += row.height + GAP
    return np.asarray(figure, np.uint8)


def choose_box(images: Sequence[Rgb]) -> Box:
    """The box, about a quarter of the image wide, in which several images of one size differ most."""
    height, width = images[0].shape[:2]
    box = Box(0, 0, max(1, min(width // PARTS, height * 4 // 3)))
    spread = np.stack(images).astype(np.float32).std(axis=0).mean(axis=2)
    means = cv2.boxFilter(spread, -1, (box.width, box.height), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    inside = means[: height - box.height + 1, : width - box.width + 1]
    top, left = divmod(int(inside.argmax()), inside.shape[1])
    return Box(left, top, box.width)


def _draw_row(item: str, images: Sequence[Rgb], captions: Sequence[tuple[str, str]], box: Box) -> PIL.Image.Image:
    """One image by every method: its name above, and under each whole image the enlarged box, the method and its PSNR."""
    height, width = images[0].shape[:2]
    if box.left + box.width > width or box.top + box.height > height:
        raise UsageError(f"The box does not lie in {item} of {width}x{height} px.", "Choose another with `box`.")
    whole, part = max(1, round(COLUMN * height / width)), round(COLUMN * box.height / box.width)
    size = (len(images) * (COLUMN + GAP) - GAP, LINE + whole + GAP // 2 + part + 2 * LINE)
    row = PIL.Image.new("RGB", size, PAPER)
    pen = PIL.ImageDraw.Draw(row)
    pen.text((0, 0), _fit(item, size[0]), INK, _font())
    scale = COLUMN / width
    corners = (box.left, box.top, box.left + box.width, box.top + box.height)
    for place, (image, (name, score)) in enumerate(zip(images, captions, strict=True)):
        left = place * (COLUMN + GAP)
        row.paste(_resize(image, COLUMN, whole), (left, LINE))
        x0, y0, x1, y1 = (round(corner * scale) for corner in corners)
        pen.rectangle((left + x0, LINE + y0, left + x1 - 1, LINE + y1 - 1), outline=MARK, width=2)
        crop = image[box.top : box.top + box.height, box.left : box.left + box.width]
        row.paste(_resize(crop, COLUMN, part), (left, LINE + whole + GAP // 2))
        pen.rectangle(
            (left, LINE + whole + GAP // 2, left + COLUMN - 1, LINE + whole + GAP // 2 + part - 1), outline=MARK
        )
        for line, text in enumerate((name, score)):
            at = (left + COLUMN // 2, size[1] + (line - 2) * LINE)
            pen.text(at, _fit(text, COLUMN), INK, _font(), anchor="ma")
    return row


def _resize(image: Rgb, width: int, height: int) -> PIL.Image.Image:
    filters = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
    return PIL.Image.fromarray(np.asarray(cv2.resize(image, (width, height), interpolation=filters), np.uint8))


def _decibels(psnr: float | str | None) -> str:
    if psnr is None:
        return ""
    return f"{psnr} dB" if isinstance(psnr, str) else f"{psnr:.2f} dB"


def _fit(text: str, width: int) -> str:
    """The text, or as much of its end as fits: endings tell weights and images apart."""
    cut = text
    while cut and _font().getlength(cut) > width:
        cut = f"...{cut.removeprefix('...')[1:]}"
    return cut


@cache
def _font() -> PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont:
    return PIL.ImageFont.load_default(15)  # the one that comes with Pillow
