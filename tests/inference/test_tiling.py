import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorekit.inference.tiling import best_tile, spans

LINES = {
    "length": st.integers(1, 3000),
    "tile": st.integers(1, 700),
    "overlap": st.integers(0, 200),
    "multiple": st.sampled_from([1, 4, 16, 32]),
}


@given(**LINES, fade=st.booleans())
def test_weights_are_a_partition_of_unity(length: int, tile: int, overlap: int, multiple: int, fade: bool) -> None:
    total = np.zeros(length)
    for span in spans(length, tile, overlap, multiple, overlap // 2 if fade else 0):
        assert 0 <= span.start < span.stop <= length
        total[span.start : span.stop] += span.weight()
    np.testing.assert_allclose(total, 1, atol=1e-6)


@given(**LINES)
def test_every_core_has_its_overlap_and_tiles_start_on_the_grid(
    length: int, tile: int, overlap: int, multiple: int
) -> None:
    for span in spans(length, tile, overlap, multiple, 0):
        core = np.flatnonzero(span.weight()) + span.start
        assert span.start % multiple == 0
        assert span.stop % multiple == 0 or span.stop == length
        assert span.start == 0 or core[0] - span.start >= overlap
        assert span.stop == length or span.stop - core[-1] > overlap


@given(**LINES)
def test_tiles_are_even_and_no_larger_than_asked(length: int, tile: int, overlap: int, multiple: int) -> None:
    found = spans(length, tile, overlap, multiple, 0)
    cores = [np.count_nonzero(span.weight()) for span in found]
    rounded = -(-overlap // multiple) * multiple
    largest = max(tile, 2 * rounded + multiple)
    assert all(span.stop - span.start <= largest for span in found)
    assert max(cores) - min(cores[:-1] or cores) <= multiple


@pytest.mark.parametrize(("height", "width"), [(1080, 1920), (3000, 4000), (17, 5000), (100, 100)])
@pytest.mark.parametrize("pixels", [300_000, 2_000_000])
def test_the_best_tile_fits_and_beats_a_square(height: int, width: int, pixels: int) -> None:
    overlap, multiple = 64, 16

    def read(tile: tuple[int, int]) -> int:
        sums = [
            sum(s.stop - s.start for s in spans(length, side, overlap, multiple, 0))
            for length, side in zip((height, width), tile, strict=True)
        ]
        return sums[0] * sums[1]

    best = best_tile(height, width, pixels, overlap, multiple)
    square = int(pixels**0.5)
    assert best[0] * best[1] <= pixels
    assert read(best) <= read((square, square))
