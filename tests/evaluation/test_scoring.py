"""What is compared with what, and which of several values counts."""

from pathlib import Path

import numpy as np
import pytest

from restorekit import metrics
from restorekit.errors import UsageError
from restorekit.evaluation.baselines import (
    DEBLURRING,
    bicubic,
    bilinear,
    identity,
    richardson_lucy,
    unsharp_mask,
    wiener,
)
from restorekit.evaluation.datasets import Item
from restorekit.evaluation.preparation import Degraded, crop_center, prepare_item, sharp_frames
from restorekit.evaluation.protocol import load_protocol
from restorekit.evaluation.scoring import Comparison, Scorer
from restorekit.evaluation.worker import without_scores
from restorekit.media.encode import write_image
from restorekit.media.image import Image

PAIRS = load_protocol("pairs")


def test_the_best_frame_is_by_every_metric_its_own() -> None:
    scorer = Scorer(PAIRS, 1)
    frames = [
        Comparison({"psnr": 30.0, "ssim": 0.8, "mse": 65.0}, {}),
        Comparison({"psnr": 29.0, "ssim": 0.9, "mse": 80.0}, {"niqe": "small"}),
        Comparison({"psnr": 31.0, "ssim": 0.7, "mse": 50.0}, {}),
    ]
    best = scorer.best(frames)
    assert best.values == {"psnr": 31.0, "ssim": 0.9, "mse": 50.0}
    assert best.left_out == {"niqe": "small"}


def test_metrics_come_in_the_order_of_reports_and_are_checked() -> None:
    assert Scorer(PAIRS, 1, metrics=("niqe", "ms-ssim")).names == ("psnr", "ssim", "mse", "ms-ssim", "niqe")
    with pytest.raises(UsageError, match="no metric called 'vmaf'"):
        Scorer(PAIRS, 1, metrics=("vmaf",))
    with pytest.raises(UsageError, match="lpips needs its weights"):
        Scorer(PAIRS, 1, metrics=("lpips",), metric_weights={"niqe": Path()})
    assert Scorer(PAIRS, 1, metrics=("lpips",), metric_weights={"lpips": Path()}).names[-1] == "lpips"


def test_the_border_of_an_enlargement_is_its_scale(photo: np.ndarray) -> None:
    restored = np.ascontiguousarray(np.roll(photo, 1, axis=1))
    values = Scorer(load_protocol("sr-y"), 3).compare(restored, photo, grey=False).values
    assert values["psnr"] == metrics.psnr(restored, photo, colour="y", border=3)
    assert values["ssim"] == metrics.ssim(restored, photo, colour="y", border=3)
    paper = Scorer(load_protocol("sr-paper"), 4).compare(restored, photo, grey=False).values
    assert paper["psnr"] == metrics.psnr(restored, photo, colour="luma", border=6)
    assert paper["ssim"] == metrics.ssim_skimage(restored, photo, colour="luma", border=6)


def test_a_grey_original_is_compared_by_its_one_plane_in_y_alone(photo: np.ndarray) -> None:
    sharp = np.repeat(photo[..., :1], 3, axis=2)
    restored = np.roll(sharp, 1, axis=0)
    restored[..., 2] //= 2  # the restored image may have colour: as a grey file it would hold the channels' mean
    mean = np.floor(restored.mean(axis=2) + 0.5).astype(np.uint8)
    values = Scorer(load_protocol("sr-y"), 4).compare(restored, sharp, grey=True).values
    assert values["psnr"] == metrics.psnr(mean, sharp[..., 0].copy(), border=4)
    rgb = Scorer(load_protocol("sr-rgb"), 4).compare(restored, sharp, grey=True).values
    assert rgb["psnr"] == metrics.psnr(restored, sharp, border=4)


def test_images_of_other_sizes_and_too_small_ones_are_refused_with_their_sizes(photo: np.ndarray) -> None:
    scorer = Scorer(PAIRS, 1, metrics=("ms-ssim",))
    with pytest.raises(UsageError, match="restored image is 160x127, the sharp one 160x128"):
        scorer.compare(photo[1:], photo, grey=False)
    with pytest.raises(UsageError, match="11 px"):
        scorer.compare(photo[:10], photo[:10], grey=False)
    comparison = scorer.compare(photo, photo, grey=False)
    assert set(comparison.values) == {"psnr", "ssim", "mse"}
    assert "176 px" in comparison.left_out["ms-ssim"]


def test_the_centre_of_an_odd_rest_leans_up_and_left() -> None:
    image = np.arange(7 * 10 * 3, dtype=np.uint8).reshape(7, 10, 3)
    np.testing.assert_array_equal(crop_center(image, 4), image[1:5, 3:7])
    assert crop_center(image, 0) is image
    np.testing.assert_array_equal(crop_center(image, 7), image[:, 1:8])
    with pytest.raises(UsageError, match="10x7 px has no centre of 8 px"):
        crop_center(image, 8)


def frames(tmp_path: Path, count: int) -> tuple[Path, ...]:
    for number in range(count):
        write_image(Image(np.full((20, 30, 3), 10 * number, np.uint8)), tmp_path / f"{number}.png")
    return tuple(tmp_path / f"{number}.png" for number in range(count))


@pytest.mark.parametrize(("count", "middle"), [(1, 0), (4, 2), (5, 2)])
def test_of_several_frames_the_middle_one_is_shown_and_all_count(tmp_path: Path, count: int, middle: int) -> None:
    item = Item("x", frames(tmp_path, count), tmp_path / "0.png")
    protocol = PAIRS.model_copy(update={"center_crop": 16})
    prepared = prepare_item(item, protocol, 1)
    assert prepared.sharp.shape == (16, 16, 3)
    assert prepared.sharp[0, 0, 0] == 10 * middle
    assert prepared.degraded is not None
    assert (prepared.degraded.target_size, prepared.grey) == ((16, 16), False)
    assert [int(frame[0, 0, 0]) for frame in sharp_frames(item, prepared, protocol)] == [10 * n for n in range(count)]
    single = protocol.model_copy(update={"reference": "middle"})
    assert [int(frame[0, 0, 0]) for frame in sharp_frames(item, prepared, single)] == [10 * middle]


def test_sixteen_bits_are_compared_in_eight(tmp_path: Path) -> None:
    deep = np.full((20, 30, 3), 1000, np.uint16)  # 1000 / 257 = 3.89
    write_image(Image(deep), tmp_path / "deep.png")
    prepared = prepare_item(Item("x", (tmp_path / "deep.png",)), PAIRS, 1)
    assert prepared.sharp.dtype == np.uint8
    assert (prepared.sharp == 4).all()
    assert prepared.degraded is None


def test_baselines_do_what_they_say(photo: np.ndarray) -> None:
    from skimage import filters, restoration

    photo = np.ascontiguousarray(photo[:64, :72])
    degraded = Degraded(photo, photo.shape[:2], np.full((3, 3), 1 / 9, np.float32))
    assert identity(degraded) is photo
    sharpened = filters.unsharp_mask(photo / 255, radius=2, amount=1, channel_axis=2)
    assert np.abs(unsharp_mask(degraded).astype(int) - np.rint(sharpened * 255)).max() <= 1
    # Away from the edges the deconvolutions are scikit-image's own; with mirrored edges added they hardly differ inside.
    inside = np.s_[24:-24, 24:-24]
    psf = np.asarray(degraded.psf, float)
    green = photo[..., 1] / 255
    lucy = restoration.richardson_lucy(green, psf, num_iter=30)
    assert np.abs(richardson_lucy(degraded)[..., 1][inside] / 255 - lucy[inside]).mean() < 0.01
    assert np.abs(wiener(degraded).astype(int) - photo).mean() > 1
    assert [known.name for known in DEBLURRING if known.needs_psf] == ["wiener", "richardson-lucy"]


def test_enlarging_baselines_reach_the_wanted_size() -> None:
    ramp = np.repeat(np.arange(0, 80, 10, dtype=np.uint8)[None, :, None], 8, axis=0).repeat(3, axis=2)
    degraded = Degraded(ramp, (16, 32))
    for baseline in (bicubic, bilinear):
        enlarged = baseline(degraded)
        assert enlarged.shape == (16, 32, 3)
        # Pixel centres: place x of the large image is (x + 0.5) / 4 - 0.5 of the small one, where the ramp is 10 a pixel.
        expected = 10 * ((np.arange(8, 24) + 0.5) / 4 - 0.5)
        assert np.abs(enlarged[8, 8:24, 0] - expected).max() <= 0.5


def test_a_file_that_cannot_be_read_is_told_in_words() -> None:
    item = Item("a", (Path("sharp/a.png"),))
    told = without_scores(item, "theirs", FileNotFoundError(2, "No such file or directory", "sharp/a.png"))
    assert told.reason == "sharp/a.png: It cannot be read (No such file or directory)."
    assert without_scores(item, "theirs", KeyError("a")).reason == "KeyError: 'a'"
