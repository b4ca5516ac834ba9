import numpy as np
import pytest

from restorekit.media.video_colour import MATRICES, Colour, matrix_or_default


def flat(*rgb: int, dtype: type = np.uint8) -> np.ndarray:
    return np.broadcast_to(np.array(rgb, dtype), (4, 6, 3))


@pytest.mark.parametrize(
    ("colour", "rgb", "codes"),
    [
        # Y = 16 + 219 * 0.2126, Cb = 128 - 224 * 0.2126 / 1.8556, Cr = 128 + 224 * 0.5
        (Colour(1, False, 8), (255, 0, 0), (63, 102, 240)),
        (Colour(6, False, 8), (255, 0, 0), (81, 90, 240)),
        (Colour(6, True, 8), (255, 0, 0), (76, 85, 255)),  # JPEG's red; 255.5 is clipped
        (Colour(9, False, 8), (255, 0, 0), (74, 97, 240)),
        (Colour(1, False, 8), (0, 255, 0), (173, 42, 26)),
        (Colour(1, False, 8), (255, 255, 255), (235, 128, 128)),
        (Colour(1, False, 8), (0, 0, 0), (16, 128, 128)),
        (Colour(1, False, 10), (65535, 0, 0), (250, 409, 960)),
        (Colour(9, False, 10), (65535, 65535, 65535), (940, 512, 512)),
    ],
)
def test_colours_are_those_of_the_standards(colour: Colour, rgb: tuple[int, ...], codes: tuple[int, ...]) -> None:
    pixels = flat(*rgb, dtype=np.uint8 if colour.depth == 8 else np.uint16)
    planes = colour.to_planes(pixels)
    assert tuple(int(plane[0, 0]) for plane in planes) == codes
    step = 1 if colour.depth == 8 else 257 // 4
    assert np.abs(colour.to_rgb(planes).astype(int) - pixels.astype(int)).max() <= 2 * step


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("depth", [8, 10])
def test_every_sample_becomes_the_nearest_colour(matrix: int, depth: int) -> None:
    y, cb, cr = np.random.default_rng(0).integers(0, 2**depth, (3, 70, 50))
    kr, kb = MATRICES[matrix]
    # H.273, section 8.3: samples of limited range, then the equations of Y, Cb and Cr solved for R, G and B
    unit = 2 ** (depth - 8)
    luma, blue, red = (y / unit - 16) / 219, (cb / unit - 128) / 224, (cr / unit - 128) / 224
    r, b = luma + (2 - 2 * kr) * red, luma + (2 - 2 * kb) * blue
    g = (luma - kr * r - kb * b) / (1 - kr - kb)
    colour = Colour(matrix, False, depth)
    rgb = colour.to_rgb([plane.astype(colour.dtype) for plane in (y, cb, cr)])
    top = np.iinfo(rgb.dtype).max
    exact = np.clip(np.stack([r, g, b], axis=-1), 0, 1) * top
    assert np.abs(rgb - exact).max() <= 0.5 + 1e-6 * top  # float32 at an exact half


def test_chroma_is_read_from_where_it_lies() -> None:
    luma = np.full((4, 6), 128, np.uint8)
    cb = np.array([[100, 140, 140]] * 2, np.uint8)  # columns 0, 2, 4 if cosited; 0.5, 2.5, 4.5 if not
    cr = np.full((2, 3), 128, np.uint8)
    # Blue is 128 + 1.772 * (Cb - 128); Cb at columns 0..5 by linear interpolation
    cosited, midway = (
        [round(128 + 1.772 * (value - 128)) for value in values]
        for values in ((100, 120, 140, 140, 140, 140), (100, 110, 130, 140, 140, 140))
    )
    for rows in (False, True):
        for columns, expected in ((True, cosited), (False, midway)):
            across = Colour(6, True, 8, (2, 2), (rows, columns)).to_rgb([luma, cb, cr])
            down = Colour(6, True, 8, (2, 2), (columns, rows)).to_rgb([luma.T, cb.T, cr.T])
            assert across[..., 2].tolist() == down[..., 2].T.tolist() == [expected] * 4


def test_chroma_is_written_to_where_it_lies() -> None:
    grey, blue = [128, 128, 128], [128, 128, 224]
    rgb = np.array([[grey, grey, grey, blue, blue, blue]] * 2, np.uint8)
    _, left, _ = Colour(6, True, 8, (2, 2), (False, True)).to_planes(rgb)
    _, centre, _ = Colour(6, True, 8, (2, 2), (False, False)).to_planes(rgb)
    # Cb rises by half of what blue alone rises: 48; column 2 is half grey, or a quarter blue with its neighbours.
    assert left.tolist() == [[128, 128 + 48 // 4, 128 + 48]]
    assert centre.tolist() == [[128, 128 + 48 // 2, 128 + 48]]


@pytest.mark.parametrize("steps", [(1, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("cosited", [(False, True), (False, False), (True, True)])
@pytest.mark.parametrize("depth", [8, 10])
def test_smooth_colours_survive_the_way_there_and_back_at_odd_sizes(
    steps: tuple[int, int], cosited: tuple[bool, bool], depth: int
) -> None:
    y, x = np.mgrid[0:75, 0:45] / 50
    dtype = np.uint8 if depth == 8 else np.uint16
    top = np.iinfo(dtype).max
    rgb = np.stack([0.2 + 0.3 * x, 0.3 + 0.3 * y, 0.6 - 0.2 * x], axis=-1)
    pixels = (rgb * top).astype(dtype)
    colour = Colour(1, False, depth, steps, cosited)
    again = colour.to_rgb(colour.to_planes(pixels))
    assert again.dtype == dtype
    inner = np.s_[2:-2, 2:-2]  # beyond the edges nothing is known of a slope
    assert np.abs(again[inner].astype(int) - pixels[inner].astype(int)).max() <= top * (2 if depth == 8 else 0.6) / 255


def test_grey_stays_grey_and_keeps_its_range() -> None:
    luma = np.array([[16, 235, 126]], np.uint8)
    assert Colour(1, False, 8).to_rgb([luma]).tolist() == [[[0], [255], [128]]]
    assert Colour(1, True, 8).to_rgb([luma]).tolist() == [[[16], [235], [126]]]


def test_what_is_not_stated_is_taken_as_players_take_it() -> None:
    assert [matrix_or_default(2, height) for height in (480, 576, 720)] == [6, 6, 1]
    assert matrix_or_default(9, 480) == 9
