from pathlib import Path

import numpy as np
import pytest
import torch

from restorekit.errors import UsageError
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.training.samples import RandomBlur, Samples

CLEAN = RandomBlur(shares={"linear": 1.0}, length=(9, 9), angle=(0, 0), noise_share=0, jpeg_share=0)


@pytest.fixture
def sharp(tmp_path: Path, photo: np.ndarray) -> Path:
    for number in range(3):
        write_image(Image(np.roll(photo, number * 9, axis=1)), tmp_path / "sharp" / f"{number}.png")
    return tmp_path / "sharp"


def test_a_sample_depends_on_seed_and_number_alone(sharp: Path) -> None:
    first, second = (Samples(sharp, 48, RandomBlur(), seed=5) for _ in range(2))
    later = first[7]
    for number in range(7):
        second[number]
    assert all(torch.equal(a, b) for a, b in zip(later, second[7], strict=True))
    assert not torch.equal(later[1], first[8][1])
    assert not torch.equal(later[1], Samples(sharp, 48, RandomBlur(), seed=6)[7][1])


@pytest.mark.parametrize("mirror_share", [0.0, 1.0])
def test_blurred_and_sharp_show_the_same_place(sharp: Path, mirror_share: float) -> None:
    mix = RandomBlur(
        shares={"linear": 1.0}, length=(9, 9), angle=(0, 0), noise_share=0, jpeg_share=0, mirror_share=mirror_share
    )
    samples = Samples(sharp, 48, mix, seed=0)
    for number in range(8):
        blurred, original = samples[number]
        mean = torch.nn.functional.avg_pool2d(original[None], (1, 9), 1)[0]
        assert (blurred[:, :, 4:-4] - mean).abs().max() < 1.5 / 255


def test_the_ramp_begins_with_linear_blur_alone(sharp: Path) -> None:
    whole = RandomBlur(shares={"sharp": 1.0}, length=(9, 9), angle=(0, 0), noise_share=0, jpeg_share=0, ramp=1000)
    samples = Samples(sharp, 48, whole, seed=0)
    kept = [torch.equal(*samples[number]) for number in (*range(20), *range(1000, 1020))]
    assert sum(kept[:20]) <= 2
    assert all(kept[20:])


def test_pairs_are_cut_at_the_same_place(tmp_path: Path, photo: np.ndarray) -> None:
    for half, values in (("sharp", photo), ("blur", 255 - photo)):
        write_image(Image(values), tmp_path / "set" / "train" / half / "1.png")
    blurred, sharp = Samples(tmp_path / "set", 48, CLEAN, seed=0)[3]
    torch.testing.assert_close(blurred, 1 - sharp)


def test_held_out_pictures_are_never_trained_on(sharp: Path) -> None:
    samples = Samples(sharp, 48, CLEAN, seed=0, hold_out=True)
    held = {item.sharp for item in samples.held_out().items}
    assert held
    assert not held & {item.sharp for item in samples.items}


def test_pictures_smaller_than_the_crop_are_named(sharp: Path) -> None:
    with pytest.raises(UsageError, match=r"160x128, smaller than the 200 px crop"):
        Samples(sharp, 200, CLEAN, seed=0)[0]


def test_an_empty_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No picture"):
        Samples(tmp_path, 48, CLEAN, seed=0)
