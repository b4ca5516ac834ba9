"""Whether a run has left blur in its results."""

from contextlib import suppress
from itertools import islice

from restorekit.errors import RestorekitError
from restorekit.imaging.left_blur import blur_is_left
from restorekit.media.decode import read_image
from restorekit.pipeline.report import RunSummary

LOOKED_AT = 3  # images of a run; each takes about as long as reading four


def count_left_blurred(run: RunSummary) -> tuple[int, int]:
    """Of how many of the first images the result is blurred as the input was, and how many were looked at."""
    images = (result for result in run.results if result.status == "done" and not (result.frames or result.by_rows))
    blurred = looked = 0
    for result in islice(images, LOOKED_AT):
        with suppress(RestorekitError):  # somebody has taken one away
            before, after = (read_image(path).rgb() for path in (result.source, result.output))
            blurred += blur_is_left(before, after)
            looked += 1
    return blurred, looked
