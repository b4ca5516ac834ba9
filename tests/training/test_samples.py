import pickle
import platform
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import pixel_digest

from restorekit.degradation.degradation import Degradation
from restorekit.degradation.downscale import Downscale
from restorekit.degradation.random_blur import RandomBlur
from restorekit.errors import UsageError
from restorekit.media.discover import Pair
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.training import samples as samples_module
from restorekit.training.samples import Samples, find_training_pairs, hold_out
from restorekit.training.validation import ValidationSet

CLEAN = RandomBlur(shares={"linear": 1.0}, length=(9, 9), angle=(0, 0), noise_share=0, jpeg_share=0)


@pytest.fixture
def sharp(tmp_path: Path, photo: np.ndarray) -> Path:
    for number in range(3):
        write_image(Image(np.roll(photo, number * 9, axis=1)), tmp_path / "sharp" / f"{number}.png")
    return tmp_path / "sharp"


def make(folder: Path, size: int, degradation: Degradation, seed: int) -> Samples:
    return Samples(find_training_pairs(folder), size, degradation, seed)


def test_a_sample_depends_on_seed_and_number_alone(sharp: Path) -> None:
    first, second = (make(sharp, 48, RandomBlur(), seed=5) for _ in range(2))
    later = first[7]
    for number in range(7):
        second[number]
    assert all(torch.equal(a, b) for a, b in zip(later, second[7], strict=True))
    assert not torch.equal(later[1], first[8][1])
    assert not torch.equal(later[1], make(sharp, 48, RandomBlur(), seed=6)[7][1])


# Digests of (degraded, sharp) samples 0, 7 and 1000 of seed 5, and of the degraded validation image 1.
PINNED = {
    "blur": (
        RandomBlur(),
        (
            ("954f84b5312f1395", "52ed0a8295e786e5"),
            ("74e4e3105cc81aa2", "0935dd608ccaee70"),
            ("f73aed76e117c256", "5b8f7e988c6738a7"),
        ),
        "0de51b21043e5bb6",
    ),
    "ramp": (
        RandomBlur(ramp=10),
        (
            ("a8dc625db0948e09", "52ed0a8295e786e5"),
            ("5fcf8067dbd715d5", "0935dd608ccaee70"),
            ("f73aed76e117c256", "5b8f7e988c6738a7"),
        ),
        "0de51b21043e5bb6",
    ),
    "matlab": (
        Downscale(2),
        (
            ("ff92bec6106d73b7", "95d5b36d1d62cf7c"),
            ("5b8be03257915908", "98cb2403e6e85b58"),
            ("32a36f492cbb2a57", "ed24a88c2ab2a39e"),
        ),
        "a0ca4d9ec9f75149",
    ),
    "gauss": (
        Downscale(3, "gauss"),
        (
            ("b627c3f80a0d0c7d", "b073f07b62574e85"),
            ("65e9d0b4c6fb611c", "5e439bc6e3f03bc4"),
            ("90e13299bc143d75", "108fe4d540c9d9e7"),
        ),
        "b9f9cab193a772b7",
    ),
}


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="other processors round differently")
@pytest.mark.parametrize(("degradation", "digests", "validation"), PINNED.values(), ids=PINNED)
def test_the_samples_of_a_seed_stay_the_same_to_the_bit(
    sharp: Path, degradation: Degradation, digests: tuple[tuple[str, str], ...], validation: str
) -> None:
    samples = make(sharp, 48, degradation, seed=5)
    assert tuple(tuple(map(pixel_digest, samples[number])) for number in (0, 7, 1000)) == digests
    whole = list(ValidationSet(tuple(find_training_pairs(sharp)), degradation, 5, full=True))
    assert pixel_digest(whole[1][0]) == validation


@pytest.mark.parametrize("degradation", [RandomBlur(), Downscale(2)], ids=["blur", "downscale"])
def test_samples_pickle_for_spawned_workers(sharp: Path, degradation: Degradation) -> None:
    samples = make(sharp, 48, degradation, seed=5)
    sent = pickle.loads(pickle.dumps(samples))
    assert all(torch.equal(a, b) for a, b in zip(sent[3], samples[3], strict=True))


def test_the_cache_forgets_the_oldest_images_and_changes_no_sample(
    sharp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [make(sharp, 48, Downscale(2), seed=5)[number] for number in range(6)]
    monkeypatch.setattr(samples_module, "CACHE_BYTES", 100_000)  # one large image of 61,440 bytes and its small one
    samples = make(sharp, 48, Downscale(2), seed=5)
    for number, pair in enumerate(expected):
        assert all(torch.equal(a, b) for a, b in zip(samples[number], pair, strict=True))
        assert sum(image.nbytes for image in samples._cache.images.values()) == samples._cache.bytes <= 100_000


def test_a_crop_is_a_multiple_of_the_scale(sharp: Path) -> None:
    with pytest.raises(UsageError, match="48 px does not divide by the scale 5"):
        make(sharp, 48, Downscale(5), seed=0)


@pytest.mark.parametrize("mirror_share", [0.0, 1.0])
def test_blurred_and_sharp_show_the_same_place(sharp: Path, mirror_share: float) -> None:
    blur = RandomBlur(
        shares={"linear": 1.0}, length=(9, 9), angle=(0, 0), noise_share=0, jpeg_share=0, mirror_share=mirror_share
    )
    samples = make(sharp, 48, blur, seed=0)
    for number in range(8):
        blurred, original = samples[number]
        mean = torch.nn.functional.avg_pool2d(original[None], (1, 9), 1)[0]
        assert (blurred[:, :, 4:-4] - mean).abs().max() < 1.5 / 255


def test_the_ramp_begins_with_linear_blur_alone(sharp: Path) -> None:
    whole = RandomBlur(shares={"sharp": 1.0}, length=(9, 9), angle=(0, 0), noise_share=0, jpeg_share=0, ramp=1000)
    samples = make(sharp, 48, whole, seed=0)
    kept = [torch.equal(*samples[number]) for number in (*range(20), *range(1000, 1020))]
    assert sum(kept[:20]) <= 2
    assert all(kept[20:])


def test_pairs_are_cut_at_the_same_place(tmp_path: Path, photo: np.ndarray) -> None:
    for half, values in (("sharp", photo), ("blur", 255 - photo)):
        write_image(Image(values), tmp_path / "set" / "train" / half / "1.png")
    blurred, sharp = make(tmp_path / "set", 48, CLEAN, seed=0)[3]
    torch.testing.assert_close(blurred, 1 - sharp)


def test_held_out_images_are_spread_evenly_and_never_trained_on() -> None:
    pairs = [Pair(Path(f"{number:02}.png"), None) for number in range(30)]
    training, held = hold_out(pairs)
    assert held == pairs[::2]  # about a dozen, but no more than half of the images
    assert training == pairs[1::2]
    training, held = hold_out(pairs * 10)
    assert len(held) == 12
    assert hold_out(pairs[:1]) == (pairs[:1], pairs[:1])


def test_images_smaller_than_the_crop_are_passed_over_and_named(sharp: Path) -> None:
    cv2.imwrite(str(sharp / "1.png"), np.zeros((48, 47, 3), np.uint8))
    batch = make(sharp, 48, CLEAN, seed=0).__getitems__(range(16))
    assert [(error.path, error.reason) for error in batch.unreadable] == [
        (sharp / "1.png", "The image is 47x48, smaller than the 48 px crop.")
    ]
    assert batch.sharp.shape == (16, 48, 48, 3)
    with pytest.raises(
        UsageError, match=r"None of .* can be used \(.*, smaller than the 200 px crop\)\. Train with smaller crops\.$"
    ):
        make(sharp, 200, CLEAN, seed=0)[0]


def test_an_empty_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No image"):
        find_training_pairs(tmp_path)


def test_a_batch_names_what_it_met_and_could_not_read_for_the_first_time(sharp: Path) -> None:
    (sharp / "1.png").write_bytes(b"no image")
    samples = make(sharp, 48, CLEAN, seed=0)
    batches = [samples.__getitems__(range(start, start + 16)) for start in (0, 16)]
    assert [[error.path for error in batch.unreadable] for batch in batches] == [[sharp / "1.png"], []]
    again = make(sharp, 48, CLEAN, seed=0)[20][1]  # whatever was met before
    assert torch.equal(again, batches[1].sharp[4].permute(2, 0, 1) / 255)
