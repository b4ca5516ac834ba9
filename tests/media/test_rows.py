import numpy as np
import pytest

from restorekit.errors import UsageError
from restorekit.media.rows import ArrayReader, RowReader


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
