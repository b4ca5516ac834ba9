"""How much work is left, told by the sizes of files: no header is read before its file's turn."""

from array import array
from collections import deque
from collections.abc import Iterable

IMAGE_PIXELS, VIDEO_PIXELS = 1.0, 80.0
"""Pixels to a byte while nothing is known: between PNG (0.5) and JPEG (3); video of 1080p25 with 5 Mbit/s."""


class Estimate:
    """The work left in files of one kind. Those not looked at are taken to hold as many pixels a byte as those that were.

    Args:
        sizes: bytes of the files, in the order in which they become known and are finished.
        pixels: to a byte, while no file is known.
    """

    def __init__(self, sizes: Iterable[int], pixels: float) -> None:
        kept = array("q", sizes)
        self._sizes, self._unseen, self._pixels = iter(kept), sum(kept), pixels
        self._begun = deque[float]()  # megapixels of files that are known and not finished
        self._known, self._megapixels = 0, 0.0  # bytes and megapixels of all that are known

    def know(self, megapixels: float) -> None:
        """Learn how many pixels the next file holds; 0 if it cannot be read, which says nothing about the others."""
        size = next(self._sizes)
        self._unseen -= size
        self._begun.append(megapixels)
        if megapixels:
            self._known, self._megapixels = self._known + size, self._megapixels + megapixels

    def finish(self) -> None:
        """Leave out the first file that is known and not finished."""
        self._begun.popleft()

    @property
    def left(self) -> float:
        """Megapixels."""
        ratio = self._megapixels / self._known if self._known else self._pixels / 1e6
        return sum(self._begun) + self._unseen * ratio
