from collections.abc import Iterator

import numpy as np
import pytest

from restorekit.errors import UsageError
from restorekit.media.rows import ArrayReader, RowReader, SequentialReader


def test_an_array_is_read_by_rows() -> None:
    pixels = np.arange(4 * 2 * 3, dtype=np.uint16).reshape(4, 2, 3)
    reader: RowReader = ArrayReader(pixels)
    assert (reader.height, reader.width, reader.channels, reader.dtype) == (4, 2, 3, np.uint16)
    assert reader.rows(1, 3).tolist() == [[[6, 7, 8], [9, 10, 11]], [[12, 13, 14], [15, 16, 17]]]
    assert np.shares_memory(reader.rows(0, 4), pixels)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (2, 2), (3, 5), (3, 2)])
def test_rows_outside_the_image_are_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="4 rows"):
        ArrayReader(np.zeros((4, 2, 1), np.uint8)).rows(start, stop)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 2), np.uint8), np.zeros((4, 2, 4), np.uint8), np.zeros((4, 2, 3)), np.zeros((0, 2, 3), np.uint8)],
    ids=["no channel axis", "four channels", "float64", "empty"],
)
def test_what_is_no_image_has_no_reader(pixels: np.ndarray) -> None:
    with pytest.raises(UsageError, match="Cannot read rows"):
        ArrayReader(pixels)


class Counting(SequentialReader):
    """Seven rows 0 to 6 of one pixel, in parts of three; counts how often they are begun and made."""

    def __init__(self) -> None:
        super().__init__(7, 1, 1, np.dtype(np.uint8))
        self.begun = self.made = 0

    def parts(self) -> Iterator[np.ndarray]:
        self.begun += 1
        for top in (0, 3, 6):
            self.made += 1
            yield np.arange(top, min(top + 3, 7), dtype=np.uint8).reshape(-1, 1, 1)


def test_rows_that_come_in_order_are_made_once() -> None:
    reader = Counting()
    assert reader.rows(0, 2).ravel().tolist() == [0, 1]
    assert reader.made == 1
    assert reader.rows(1, 5).ravel().tolist() == [1, 2, 3, 4]
    assert reader.rows(4, 7).ravel().tolist() == [4, 5, 6]
    assert reader.rows(4, 5).ravel().tolist() == [4]
    assert reader.rows(6, 7).ravel().tolist() == [6]
    assert (reader.begun, reader.made) == (1, 3)
    assert reader.rows(2, 4).ravel().tolist() == [2, 3]  # further back than was kept
    assert reader.begun == 2
    with pytest.raises(ValueError, match="7 rows"):
        reader.rows(6, 8)
