import cv2
import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray

from restorekit.imaging.doubt import _grain, find_doubt
from restorekit.imaging.dtypes import from_unit


def waves(period: float = 24.0) -> NDArray[np.float32]:
    """(120,120,3): soft waves between 0.3 and 0.7."""
    across = 0.5 + 0.2 * np.sin(2 * np.pi * np.arange(120) / period)
    return np.repeat(np.tile(across, (120, 1))[:, :, None], 3, axis=2).astype(np.float32)


def noise(sigma: float) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, sigma, (120, 120, 3)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_what_went_wrong_is_told_at_every_depth(dtype: DTypeLike) -> None:
    def doubt(before: NDArray[np.float32], after: NDArray[np.float32]) -> str:
        return find_doubt(from_unit(before, dtype), from_unit(after, dtype))

    grainy = waves() + noise(0.01)
    assert doubt(grainy, grainy) == ""
    assert doubt(grainy, grainy + np.float32([0, 0.03, 0])) == "its colours have moved by 3 % of the range"
    assert doubt(grainy, 0.5 + 1.1 * (grainy - 0.5)) == ""
    flat = np.full_like(grainy, 0.5)
    assert doubt(flat + noise(0.01), flat + 4 * noise(0.01)).startswith(
        ("its grain is 4.0 times", "its grain is 3.9 times")
    )
    assert "grain" not in doubt(flat + noise(0.01), flat + 2 * noise(0.01))
    half = grainy.copy()
    half[:10] = 0  # 8.3 % of the rows
    half[-10:] = 1
    assert "17 % of its values have become black or white" in doubt(grainy, half)


def test_halos_are_told_and_steeper_edges_are_not() -> None:
    step = np.repeat(np.where(np.arange(120) // 12 % 2, 0.7, 0.3)[None], 120, axis=0).astype(np.float32)
    sharp = np.repeat(step[:, :, None], 3, axis=2)
    soft = cv2.blur(sharp, (7, 7))
    assert find_doubt(from_unit(soft), from_unit(sharp)) == ""
    ringing = sharp + 0.05 * np.sign(sharp - 0.5)  # all of it 5 % beyond what it was
    assert find_doubt(from_unit(soft), from_unit(ringing)).endswith(
        "% of it is brighter or darker than all that was around"
    )


def test_a_larger_result_is_compared_at_the_inputs_size() -> None:
    before = from_unit(waves())
    assert find_doubt(before, cv2.resize(before, (480, 480), interpolation=cv2.INTER_CUBIC)) == ""
    assert "colours" in find_doubt(before, cv2.resize(before, (240, 240)) // 2)


def test_grain_is_no_sign_where_the_system_was_told_a_blur() -> None:
    flat = np.full((120, 120, 3), 0.5, np.float32)
    weak, strong = flat + noise(0.001), flat + noise(0.006)
    assert find_doubt(from_unit(weak, np.uint16), from_unit(strong, np.uint16)).startswith("its grain is")
    assert find_doubt(from_unit(weak, np.uint16), from_unit(strong, np.uint16), blur=15) == ""


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_grain_is_the_median_of_an_odd_and_an_even_number_of_pixels(dtype: DTypeLike) -> None:
    # The Laplacian of a row, mirrored at its ends, is 0, 10, -20; one pixel more makes it 0, 10, -20, 20.
    assert _grain(np.array([[0, 0, 10]], dtype)) == 10
    assert _grain(np.array([[0, 0, 10, 0]], dtype)) == 15


def test_a_single_pixel_is_no_doubt() -> None:
    assert find_doubt(np.full((1, 1, 3), 9, np.uint8), np.full((1, 1, 3), 9, np.uint8)) == ""
