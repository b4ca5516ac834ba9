"""Chakrabarti's network a second time in NumPy, the mean of its patches, and the PSF that explains them."""

import numpy as np
import pytest
import torch
from helpers import noise
from scipy import signal
from skimage import data
from torch import Tensor

from restorekit.models import registry
from restorekit.models.blind_deconvolution import luma
from restorekit.models.deblur.chakrabarti import Chakrabarti, Config, derivatives, explain, minimise

Sums = list[tuple[int, int]]


def with_random_weights() -> Chakrabarti:
    torch.manual_seed(0)
    model = Chakrabarti(Config(width=3)).double().eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.normal_(std=0.3)
    return model


def frequencies(low: int, most: int) -> Sums:
    """One of each two opposite frequencies (down, across) beyond `low` and up to `most`, in the network's order."""
    signed = [*range(most + 1), *range(-most, 0)]
    pairs = [(down, 0) for down in range(1, most + 1)]
    pairs += [(down, across) for down in signed for across in range(1, most + 1)]
    return [pair for pair in pairs if max(map(abs, pair)) > low]


def waves(side: int, pairs: Sums) -> np.ndarray:
    """(F,side*side): complex waves of these frequencies."""
    y, x = np.mgrid[:side, :side]
    return np.stack([np.exp(2j * np.pi * (down * y + across * x) / side).ravel() for down, across in pairs])


def band(patch: np.ndarray, side: int, low: int, most: int) -> np.ndarray:
    """Real and imaginary parts in turns, times the frequency to the power of 1.5."""
    margin, pairs = (65 - side) // 2, frequencies(low, most)
    middle = patch[margin : 65 - margin, margin : 65 - margin].ravel() - 0.5
    coefficients = waves(side, pairs).conj() @ middle / side
    coefficients *= 250 * (np.hypot(*np.array(pairs).T) / side) ** 1.5
    return np.stack([coefficients.real, coefficients.imag], 1).ravel()


def second_writing(model: Chakrabarti, patch: np.ndarray) -> np.ndarray:
    """The restored middle (33,33) of a patch (65,65), wave by wave."""
    weights = {name: value.numpy() for name, value in model.state_dict().items()}

    def layer(name: str, *inputs: np.ndarray) -> np.ndarray:
        x = weights[f"{name}.weight"][:, :, 0, 0] @ np.concatenate(inputs) + weights[f"{name}.bias"]
        return x if name == "coefficients" else np.maximum(x, 0)

    low = np.append(band(patch, 65, 0, 4), 5 * (patch.mean() - 0.5))
    bands = [low, *(band(patch, side, 4, 8) for side in (65, 33, 17))]
    assert [len(values) for values in bands] == [81, 208, 208, 208]
    x = [layer(f"neighbours.{number}.0", *bands[number : number + 2]) for number in range(3)]
    x = [layer(f"merged.{number}.0", *x[number : number + 2]) for number in range(2)]
    values = np.concatenate(x)
    for number in range(5):
        values = layer(f"all.{number}.0", values)
    real, imaginary = layer("coefficients", values).reshape(2, -1)
    every = waves(65, frequencies(0, 32))
    filtered = (real + 1j * imaginary) * (every.conj() @ patch.ravel())
    restored = patch.mean() + 2 / 65**2 * (filtered @ every).real  # opposite frequencies have conjugate coefficients
    return np.asarray(restored.reshape(65, 65)[16:49, 16:49])


@pytest.mark.slow
def test_a_patch_is_filtered_as_the_paper_says() -> None:
    model, patches = with_random_weights(), noise(2, 65, 65).double()
    for patch, middle in zip(patches, model.sharpen(patches), strict=True):
        expected = second_writing(model, patch.numpy())
        assert expected.std() > 0.05
        np.testing.assert_allclose(middle, expected, atol=1e-6)


@pytest.mark.slow
def test_it_has_the_papers_sizes() -> None:
    with torch.device("meta"):
        model = registry.build("chakrabarti")
    layers = [*model.neighbours, *model.merged, *model.all, model.coefficients]
    sizes = [296_960, 427_008, 427_008, 4_196_352, 4_196_352, *[16_781_312] * 5, 17_305_728]
    assert [sum(parameter.numel() for parameter in layer.parameters()) for layer in layers] == sizes
    assert sum(sizes) == registry.spec_of("chakrabarti").parameters


@pytest.mark.parametrize("size", [(70, 81), (33, 20), (1, 1)])
def test_untrained_it_gives_back_luma(size: tuple[int, int]) -> None:
    rgb = noise(2, 3, *size)
    with torch.no_grad():
        restored = Chakrabarti(Config(width=2)).predict(rgb)
    expected = 0.299 * rgb[:, :1] + 0.587 * rgb[:, 1:2] + 0.114 * rgb[:, 2:]
    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("chunk", [1, 2048])
def test_middles_that_overlap_are_averaged_by_their_distance(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Corners(Chakrabarti):
        def sharpen(self, patches: Tensor) -> Tensor:
            return patches[:, :33, :33] * patches[:, -1:, -1:]

    monkeypatch.setattr("restorekit.models.deblur.chakrabarti.CHUNK", chunk)
    rgb = noise(2, 3, 33 + 18, 33 + 11)
    averages = Corners(Config(width=1, stride=9)).predict(rgb)
    window = np.outer(*[np.sin(np.pi * np.arange(1, 34) / 34) ** 2] * 2)
    for average, image in zip(averages[:, 0].numpy(), luma(rgb)[:, 0].numpy(), strict=True):
        image = np.pad(image, ((16, 16), (16, 16 + 7)), mode="edge")  # to 65 + 2 x 9
        total, weight = np.zeros((51, 51)), np.zeros((51, 51))
        for top in (0, 9, 18):
            for left in (0, 9, 18):
                middle = image[top : top + 33, left : left + 33] * image[top + 64, left + 64]
                total[top : top + 33, left : left + 33] += window * middle
                weight[top : top + 33, left : left + 33] += window
        np.testing.assert_allclose(average, (total / weight)[:, :44], atol=1e-5)


def test_five_derivatives_stand_for_the_authors_sixteen() -> None:
    at = np.arange(-5.0, 6)
    x, y = np.meshgrid(at, at)
    bell = np.exp(-(x**2 + y**2) / 2)
    angles = np.pi * np.arange(8) / 8
    along = [x * np.cos(angle) + y * np.sin(angle) for angle in angles]
    sixteen = [part * bell for part in along] + [(part**2 - 1) * bell for part in along]
    sharp, blurred = noise(2, 40, 40).double().numpy()
    expected = sum(responses(part / np.linalg.norm(part), sharp, blurred) for part in sixteen)
    found = sum(responses(part, sharp, blurred) for part in derivatives().numpy())
    np.testing.assert_allclose(4 * found, expected, atol=5e-3 * np.abs(expected).max())


def responses(derivative: np.ndarray, sharp: np.ndarray, blurred: np.ndarray) -> np.ndarray:
    return np.asarray(signal.fftconvolve(sharp, derivative, "valid") * signal.fftconvolve(blurred, derivative, "valid"))


def test_the_psf_is_the_best_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restorekit.models.deblur.chakrabarti.SIDE", 5)
    sharp = np.random.default_rng(0).normal(size=(12, 12))
    power = signal.correlate(sharp, sharp)[7:16, 7:16]  # up to four pixels apart
    wanted = signal.convolve(np.arange(25.0).reshape(5, 5) % 4 - 0.5, power, "same")
    weight = 0.3 * power.max()
    (found,) = minimise(*(torch.from_numpy(part) for part in (power, wanted)), torch.tensor([[[weight]]])).numpy()
    # Where |K * L - B|^2 / 2 + w |K|_1 is the least, its slope without w is -w times the sign of K; where K is 0, at most w.
    slope = signal.convolve(found, power)[4:9, 4:9] - wanted
    at = np.abs(found) > 1e-3
    assert 5 < at.sum() < 25
    np.testing.assert_allclose(slope[at], -weight * np.sign(found[at]), atol=1e-3 * weight)
    assert (np.abs(slope[~at]) <= 1.001 * weight).all()


def hook() -> np.ndarray:
    """(51,51): a path of 13 px that turns, stronger at one end."""
    psf = np.zeros((51, 51))
    psf[25, 19:26] = 1
    psf[25:32, 25] = 2
    return psf / psf.sum()


@pytest.mark.slow
@pytest.mark.parametrize(("kept", "least"), [(0.02, 0.8), (0.3, 0.95)])
def test_a_sharp_image_tells_the_psf_and_which_way_it_lies(
    kept: float, least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restorekit.models.deblur.chakrabarti.KEPT", kept)
    sharp = data.camera()[80:400, 80:400] / 255
    blurred = signal.fftconvolve(sharp, hook(), mode="same") + 0.01 * np.random.default_rng(0).normal(size=(320, 320))
    found = explain(torch.from_numpy(blurred).float(), torch.from_numpy(sharp).float()).numpy()
    assert found.sum() == pytest.approx(1, abs=1e-4)
    assert (found >= 0).all()
    assert likeness(found) > least


def likeness(psf: np.ndarray) -> float:
    """To the hook, wherever it lies; 1 is equal."""
    return float(signal.correlate(hook(), psf).max() / np.linalg.norm(psf) / np.linalg.norm(hook()))


@pytest.mark.slow
def test_what_is_restored_by_a_psf_tells_a_better_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sharp = data.camera()[60:420, 60:420] / 255
    blurred, soft = (
        torch.from_numpy(signal.fftconvolve(sharp, psf, mode="same")[20:-20, 20:-20]).float().expand(1, 3, -1, -1)
        for psf in (hook(), np.full((5, 5), 1 / 25))
    )
    monkeypatch.setattr(Chakrabarti, "predict", lambda self, rgb, listener: soft[:, :1])
    found = [Chakrabarti(Config(width=3, rounds=rounds)).estimate(blurred).psf for rounds in range(3)]
    first, second, third = map(likeness, found)
    assert first + 0.08 < second < third


def test_what_lies_apart_is_no_part_of_a_path_and_the_path_is_centred(monkeypatch: pytest.MonkeyPatch) -> None:
    psf = torch.zeros(51, 51)
    psf[20, 30:33] = psf[20, 35:38] = 0.1  # a gap of two pixels
    psf[40, 10:13] = 0.13
    monkeypatch.setattr("restorekit.models.deblur.chakrabarti.explain", lambda *images: psf)
    found = Chakrabarti(Config(width=3, rounds=0)).estimate(noise(1, 3, 160, 160)).psf
    height, width = found.shape
    assert (height <= 3, width >= 9) == (True, True)
    rows, columns = np.indices(found.shape)
    assert ((found * rows).sum(), (found * columns).sum()) == pytest.approx((height // 2, width // 2), abs=0.05)
