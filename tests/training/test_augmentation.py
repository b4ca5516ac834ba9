"""What crops go through beside their degradation, on pixels whose colours are known."""

import colorsys
from pathlib import Path

import numpy as np
import pytest

from restorekit.degradation.random_blur import RandomBlur
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.training.augmentation import Augment, change_colours, draw_turn, orient
from restorekit.training.samples import Samples, find_training_pairs

IMAGE = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)


@pytest.mark.parametrize(
    ("augment", "turns"),
    [("none", {0}), ("flips", {0, 4}), ("flips-and-turns", set(range(8))), ("sang", set(range(8)))],
)
def test_every_kind_of_augmentation_draws_its_own_turns(augment: Augment, turns: set[int]) -> None:
    rng = np.random.default_rng(0)
    assert {draw_turn(augment, rng) for _ in range(100)} == turns


def test_turns_are_quarter_turns_and_their_mirror_images() -> None:
    corners = [orient(IMAGE, turn)[..., 0].tolist() for turn in range(8)]
    assert corners[0] == [[0, 3], [6, 9]]
    assert corners[1] == [[3, 9], [0, 6]]
    assert corners[4] == [[3, 0], [9, 6]]
    assert len({str(image) for image in corners}) == 8


def test_channels_and_saturation_change_alike_on_both_halves_and_noise_joins_the_degraded_one() -> None:
    orders, factors, deviations = set(), [], []
    for seed in range(60):
        sharp = np.full((16, 16, 3), (120, 100, 80), np.uint8)  # saturation 1/3, value 120
        degraded, changed = change_colours(sharp, sharp, np.random.default_rng(seed))
        pixel = changed[0, 0]
        assert (changed == pixel).all()
        orders.add(tuple(np.argsort(pixel)))
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255))
        assert value == pytest.approx(120 / 255)
        assert hue * 6 % 1 == pytest.approx(0.5, abs=0.04)
        factors.append(saturation * 3)
        noise = degraded.astype(float) - changed
        assert abs(noise.mean()) < 1
        deviations.append(noise.std())
    assert len(orders) == 6
    assert 0.48 < min(factors) < 0.6
    assert 1.4 < max(factors) < 1.53
    assert 1 < np.sqrt(np.mean(np.square(deviations))) < 3  # of a normal distribution with deviation 2, in grey levels
    assert max(deviations) > 3


def test_the_degraded_half_stays_the_degraded_one() -> None:
    bright, dark = (np.full((16, 16, 3), value, np.uint8) for value in (200, 50))
    degraded, sharp = change_colours(dark, bright, np.random.default_rng(0))
    assert degraded.mean() == pytest.approx(50, abs=1)
    assert sharp.mean() == 200


def test_saturation_ends_at_one() -> None:
    pure = np.full((4, 4, 3), (200, 10, 10), np.uint8)
    for seed in range(20):
        _, changed = change_colours(pure, pure, np.random.default_rng(seed))
        assert changed.max() == 200


def test_samples_of_pairs_are_augmented_as_the_recipe_says(tmp_path: Path, photo: np.ndarray) -> None:
    grey = np.repeat(photo[:64, :64, :1], 3, axis=2)
    for half in ("sharp", "blur"):
        write_image(Image(grey), tmp_path / half / "1.png")
    pairs = find_training_pairs(tmp_path)
    for number in range(4):
        degraded, sharp = Samples(pairs, 64, RandomBlur(), 0, "none")[number]
        assert (sharp[0].numpy() * 255).round().astype(np.uint8).tolist() == grey[..., 0].tolist()
        assert np.array_equal(degraded, sharp)
    noisy, clean = Samples(pairs, 64, RandomBlur(), 0, "sang")[0]
    assert np.array_equal(clean[0], clean[1])  # grey has no saturation
    assert not np.array_equal(noisy, clean)


def test_blur_on_the_fly_is_augmented_too(tmp_path: Path, photo: np.ndarray) -> None:
    write_image(Image(photo), tmp_path / "1.png")
    plain, changed = (
        Samples(find_training_pairs(tmp_path), 64, RandomBlur(), 3, augment)[0][1] for augment in ("none", "sang")
    )
    assert not np.array_equal(np.sort(plain.mean((1, 2))), np.sort(changed.mean((1, 2))))
