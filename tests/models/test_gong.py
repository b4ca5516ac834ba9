"""Gong's network against its authors' layers, how its labels are read, and what follows."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import SMALL, noise
from torch import Tensor, nn

from restorekit.deconvolution import Lines
from restorekit.errors import WeightsError
from restorekit.models import registry
from restorekit.models.deblur import gong
from restorekit.weights import state_dict
from restorekit.weights.load import load_model

THIN = (4, 5, 6, 7, 8)


class Upstream(nn.Module):
    """The layers of the authors' deploy.prototxt; bilinear deconvolutions are full matrices there, zero off the diagonal."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        sides = (7, 5, 3, 3, 3)
        for number, (inputs, outputs, side) in enumerate(zip((3, *widths), widths, sides, strict=False), 1):
            setattr(self, f"conv{number}", nn.Conv2d(inputs, outputs, side, padding=30 if number == 1 else 0))
        self.score_fr = nn.Conv2d(widths[4], 112, 1)
        self.score_pool3 = nn.Conv2d(widths[2], 112, 1)
        self.score_pool2 = nn.Conv2d(widths[1], 112, 1)
        for name, side in (("upscore2", 4), ("upscore_pool3", 4), ("upscore4", 8)):
            layer = nn.ConvTranspose2d(112, 112, side, stride=side // 2, bias=False)
            across = {4: [1, 3, 3, 1], 8: [1, 3, 5, 7, 7, 5, 3, 1]}[side]
            tent = torch.outer(torch.tensor(across), torch.tensor(across)) / side**2
            layer.weight = nn.Parameter(torch.eye(112)[:, :, None, None] * tent)
            setattr(self, name, layer)
        self.sizes: list[int] = []

    def forward(self, rgb: Tensor) -> Tensor:
        def seen(x: Tensor) -> Tensor:
            self.sizes.append(x.shape[-1])
            return x

        def pool(x: Tensor) -> Tensor:
            return seen(F.max_pool2d(x, 2, 2, ceil_mode=True))

        bgr = 255 * rgb[:, [2, 1, 0]] - rgb.new_tensor([111.64, 113.53, 93.96])[:, None, None]
        one = pool(seen(F.relu(self.conv1(bgr))))
        two = pool(seen(F.relu(self.conv2(one))))
        three = pool(seen(F.relu(self.conv3(two))))
        four = pool(seen(F.relu(self.conv4(three))))
        up = seen(self.upscore2(self.score_fr(F.relu(self.conv5(four)))))
        side = up.shape[-2:]
        up = seen(self.upscore_pool3(up + self.score_pool3(0.01 * three)[..., 2 : 2 + side[0], 2 : 2 + side[1]]))
        side = up.shape[-2:]
        up = seen(self.upscore4(up + self.score_pool2(0.0001 * two)[..., 4 : 4 + side[0], 4 : 4 + side[1]]))
        return up[..., 9 : 9 + rgb.shape[-2], 9 : 9 + rgb.shape[-1]]


def upstream(widths: tuple[int, ...]) -> Upstream:
    torch.manual_seed(0)
    model = Upstream(widths).eval().requires_grad_(False)
    for layer in (model.score_pool3, model.score_pool2):
        layer.weight.mul_(100)  # else what is joined would hardly be seen
    return model


def loaded(state: dict[str, Tensor]) -> gong.Gong:
    recognised = registry.from_upstream("gong", state)
    assert recognised is not None
    options, converted = recognised
    model = registry.build("gong", **options).eval()
    model.load_state_dict(converted)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("size", [(64, 90), (37, 41), (11, 30)])
def test_files_in_the_authors_layout_give_what_their_network_gives(size: tuple[int, int]) -> None:
    theirs, rgb = upstream(THIN).double(), noise(1, 3, *size).double()
    model = loaded(theirs.state_dict()).double()
    expected = theirs(rgb)
    assert expected.shape == (1, 112, *size)
    for joined in (theirs.score_pool3, theirs.score_pool2):
        joined.weight.mul_(2)
        assert (theirs(rgb) - expected).abs().max() > 1e-4  # each counts
        joined.weight.div_(2)
    torch.testing.assert_close(model.predict(rgb), expected)


@pytest.mark.slow
def test_maps_have_the_sizes_that_are_known_for_500_px() -> None:
    with torch.device("meta"):
        theirs = Upstream((1, 1, 1, 1, 1))
    theirs(torch.empty(1, 3, 500, 500, device="meta"))
    assert theirs.sizes == [554, 277, 273, 137, 135, 68, 66, 33, 64, 130, 524]


@pytest.mark.slow
def test_the_published_sizes_are_the_default_and_fixed_layers_are_dropped() -> None:
    with torch.device("meta"):
        state = Upstream((96, 256, 512, 512, 1024)).state_dict()
    options, converted = registry.from_upstream("gong", state)
    assert options == {"widths": (96, 256, 512, 512, 1024)}
    trained = [14_208, 614_656, 1_180_160, 2_359_808, 4_719_616, 114_800, 57_456, 28_784]
    names = ("conv1", "conv2", "conv3", "conv4", "conv5", "score", "score_pool3", "score_pool2")
    for name, count in zip(names, trained, strict=True):
        assert sum(converted.pop(f"{name}.{kind}").numel() for kind in ("weight", "bias")) == count
    assert not converted
    assert sum(trained) == registry.spec_of("gong").parameters == 9_089_488


def test_other_tensors_are_not_taken_for_it(tmp_path) -> None:
    state = upstream(THIN).state_dict()
    assert registry.from_upstream("gong", state | {"conv6.weight": torch.zeros(4, 4, 3, 3)}) is None
    assert registry.from_upstream("gong", {key: state[key] for key in state if key != "score_fr.bias"}) is None
    state["conv2.weight"] = state["conv2.weight"][:, :3].contiguous()
    state_dict.save(state, tmp_path / "damaged.safetensors", {}, torch.float32)
    with pytest.raises(WeightsError):
        load_model("gong", tmp_path / "damaged.safetensors")


def test_the_smallest_images_are_continued() -> None:
    model = loaded(upstream(THIN).state_dict())
    rgb = noise(1, 3, 3, 25)
    continued = torch.cat([rgb, rgb[:, :, -1:].expand(-1, -1, 8, -1)], dim=2)
    torch.testing.assert_close(model.predict(rgb), model.predict(continued)[:, :, :3])
    assert model.predict(rgb[..., :1, :1]).shape == (1, 112, 1, 1)


class Told(gong.Gong):
    """Gong whose scores are told."""

    def __init__(self, scores: Tensor, decode: str = "argmax") -> None:
        super().__init__(gong.Config(THIN, decode))  # type: ignore[arg-type]
        self.scores = scores

    def predict(self, rgb: Tensor) -> Tensor:
        return self.scores


def scores_of(*labels: tuple[int, float]) -> Tensor:
    scores = torch.full((1, 112, 40, 50), -10.0)
    for label, score in labels:
        scores[:, label] = score
    return scores


def test_labels_are_pixels_to_the_right_and_down() -> None:
    lines = Told(scores_of((7, 2), (8, 1), (39 + 36 - 5, 2), (39 + 36 + 4, 1.9))).estimate(noise(1, 3, 40, 50))
    assert isinstance(lines, Lines)
    np.testing.assert_array_equal(lines.u, np.full((40, 50), 7, np.float32))
    np.testing.assert_array_equal(lines.v, np.full((40, 50), -5, np.float32))


def test_the_mean_counts_labels_near_the_best_by_their_probability() -> None:
    # u: 7 and 8 as 3 to 1; v: 10 down is best, and 10 up, nearly as good, is another motion and no neighbour.
    scores = scores_of((7, 3**0.5), (8, 3**0.5 - np.log(3)), (39 + 36 + 10, 3), (39 + 36 - 10, 2.9))
    lines = Told(scores, "mean").estimate(noise(1, 3, 40, 50))
    assert isinstance(lines, Lines)
    assert lines.u[0, 0] == pytest.approx(7.25, abs=1e-3)
    assert lines.v[0, 0] == pytest.approx(10, abs=1e-3)


def test_untrained_nothing_moves() -> None:
    model = registry.build("gong", **SMALL["gong"])
    assert model.estimate(noise(1, 3, 40, 50)).is_identity
