"""Every objective's terms on images of one grey, computed by hand.

Restored 0.25, sharp 0.5, blurred 0.75. A discriminator's score is the mean of what it sees, times two: restored images score
0.5, sharp ones 1.0. The features of an image are half of it.
"""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from restorekit.models.gradient_guidance import Branches
from restorekit.training import objectives
from restorekit.training.objectives.base import TrainingObjective

RESTORED, SHARP, BLURRED = 0.25, 0.5, 0.75


def softplus(x: float) -> float:
    """Cross-entropy of a score that should be low; of one that should be high with the sign turned."""
    return math.log(1 + math.exp(x))


def grey(value: float, side: int = 128) -> Tensor:
    return torch.full((2, 3, side, side), value)


class Grey(nn.Module):
    """A generator whose every output has one grey; with a parameter, so that losses have gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(RESTORED))

    def forward(self, rgb: Tensor) -> Tensor:
        return self.value.expand_as(rgb)

    def branches(self, rgb: Tensor) -> Branches:
        """The pre-network's output is as bright as the restored image, the gradient branch's is 0.125."""
        return Branches(self(rgb), self(rgb), self(rgb) / 2)

    def pyramid(self, rgb: Tensor) -> list[Tensor]:
        """Off by 0.25 at the finest scale, by 0.5 at half the size, by 1 at a quarter."""
        return [self(rgb[..., ::factor, ::factor]) * offset for factor, offset in ((4, -2), (2, 0), (1, 1))]

    def reduce(self, rgb: Tensor, factor: int) -> Tensor:
        return rgb[..., ::factor, ::factor]


class Twice(nn.Module):
    """A discriminator."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))

    def forward(self, batch: Tensor) -> Tensor:
        return self.factor * batch.flatten(1).mean(1, keepdim=True)


class Half(nn.Module):
    """Features."""

    def forward(self, restored: Tensor, sharp: Tensor) -> tuple[Tensor, Tensor]:
        return restored / 2, sharp.detach() / 2


def make(name: str, weights: dict[str, float], options: dict[str, Any], features: bool) -> TrainingObjective:
    with torch.device("meta"):  # the real discriminators are not asked
        objective = objectives.make(name, weights, options)
    if features:
        objective.features = Half()
    if isinstance(objective.discriminators, nn.ModuleDict):
        objective.discriminators = nn.ModuleDict({kind: Twice() for kind in objective.discriminators})
    elif isinstance(objective.discriminators, nn.ModuleList):
        objective.discriminators = nn.ModuleList([Twice() for _ in objective.discriminators])
    else:
        objective.discriminators = Twice()
    return objective


SSIM = (2 * 0.25 * 0.5 + 1e-4) / (0.25**2 + 0.5**2 + 1e-4)  # without structure, the second factor is 1


def edges(value: float) -> float:
    """Mean over 128x128 pixels of the gradient map of a grey: at the image's sides the value itself, in the corners times
    the root of 2, inside the root of 1e-6."""
    sides, corners, inside = 4 * 126, 4, 126**2
    return (sides * math.hypot(value, 1e-3) + corners * math.sqrt(2 * value**2 + 1e-6) + inside * 1e-3) / 128**2


L1_EDGES = edges(0.5) - edges(0.25)
MSE_EDGES = (4 * 126 + 4 * 2) * 0.25**2 / 128**2  # up to the 1e-6
BRANCH = (126**2 * (0.125 - 1e-3) + 4 * 126 * (0.5 - 0.125) + 4 * (0.5 * math.sqrt(2) - 0.125)) / 128**2

# Scores: restored 0.5, sharp 1.0, so RaGAN compares softplus(0.5) with softplus(-0.5).
CASES: dict[str, tuple[str, dict[str, float], dict[str, Any], bool, dict[str, float], float | None]] = {
    "pixel": ("pixel", {}, {}, False, {"l1": 0.25}, None),
    "pixel, squared": ("pixel", {"l1": 0.0, "mse": 3.0}, {}, False, {"mse": 3 * 0.0625}, None),
    "deblurgan": ("deblurgan", {}, {}, True, {"perceptual": 100 * 0.125**2, "adversarial": -0.5}, -0.5),
    "deblurgan without features": ("deblurgan", {}, {}, False, {"pixel": 25.0, "adversarial": -0.5}, -0.5),
    "msdn": ("msdn", {}, {}, True, {"perceptual": 100 * 0.125**2, "adversarial": -0.5}, -0.5),
    "deblurgan_v2": (
        "deblurgan_v2",
        {},
        {},
        True,
        {
            "mse": 0.5 * 0.0625,
            "perceptual": 0.006 * 0.125**2,
            "adversarial_patch": 0.005 * 1.5**2,  # half of 0.01; 0.5 is 1.5 from 1 above 1.0
            "adversarial_global": 0.005 * 1.5**2,
        },
        0.5**2,
    ),
    "dgf": (
        "dgf",
        {},
        {},
        True,
        # Beside the blurred image of 0.75 restored ones score 1.0.
        {"l1": 2.5, "perceptual": 0.125**2, "adversarial": 0.1 * softplus(-1.0)},
        softplus(1.0) + softplus(-1.25),
    ),
    "sang": (
        "sang",
        {},
        {},
        False,
        {"mse": 0.0625, "adversarial": 1e-3 * softplus(-0.5)},
        softplus(0.5) + softplus(-1.0),
    ),
    "pyramid": ("pyramid", {}, {}, False, {"mse1": 0.0625, "mse2": 0.25, "mse4": 1.0}, None),
    "deepdeblur": (
        "deepdeblur",
        {},
        {},
        False,
        {"mse1": 0.0625 / 6, "mse2": 0.25 / 6, "mse4": 1 / 6, "adversarial": 1e-4 * softplus(-0.5)},
        softplus(0.5) + softplus(-1.0),
    ),
    # In -1..1: restored images are -0.5 and score -1, sharp ones are 0.
    "srgan_em": ("srgan_em", {}, {}, False, {"l1": 0.5, "adversarial": 1e-3}, -1.0),
    "srgan_em, squared, saturating": (
        "srgan_em",
        {"l1": 0.0, "mse": 1.0},
        {"gan": "saturating"},
        False,
        {"mse": 0.25, "adversarial": -1e-3 * softplus(-1.0)},  # log(1 - sigmoid(-1))
        softplus(-1.0) + math.log(2),
    ),
    "srgan_em, not saturating": (
        "srgan_em",
        {},
        {"gan": "non-saturating"},
        False,
        {"l1": 0.5, "adversarial": 1e-3 * softplus(1.0)},
        softplus(-1.0) + math.log(2),
    ),
    "gggan": (
        "gggan",
        {},
        {},
        False,
        {
            "pre": 1000 * (1 - SSIM),
            "pixel": 0.25,
            "gradient": L1_EDGES,
            "branch": 0.5 * BRANCH,
            "ssim": 0.2 * (1 - SSIM),
            "adversarial": 0.005 * softplus(0.5),
        },
        softplus(-0.5),
    ),
    "gggan as SPSR's code": (
        "gggan",
        {"pre": 0, "pixel": 0.01, "perceptual": 1, "gradient": 0.01, "ssim": 0, "gradient_adversarial": 0.005},
        {"gradient_distance": "mse"},
        True,
        {
            "pixel": 0.0025,
            "perceptual": 0.125,
            "gradient": 0.01 * MSE_EDGES,
            "branch": 0.5 * BRANCH,
            "adversarial": 0.005 * softplus(0.5),
            "gradient_adversarial": 0.005 * softplus(2 * L1_EDGES),
        },
        softplus(-0.5) + softplus(-2 * L1_EDGES),
    ),
    "gggan with a plain discriminator": (
        "gggan",
        {"pre": 0, "pixel": 0, "gradient": 0, "branch": 0, "ssim": 0},
        {"gan": "non-saturating"},
        False,
        {"adversarial": 0.005 * softplus(-0.5)},
        softplus(0.5) + softplus(-1.0),
    ),
}


@pytest.mark.parametrize(
    ("name", "weights", "options", "features", "terms", "discriminator"), CASES.values(), ids=CASES
)
def test_the_terms_are_those_computed_by_hand(
    name: str,
    weights: dict[str, float],
    options: dict[str, Any],
    features: bool,
    terms: dict[str, float],
    discriminator: float | None,
) -> None:
    objective, side = make(name, weights, options, features), 256 if name in ("deepdeblur", "pyramid") else 128
    generator = Grey()
    computed, restored = objective.generator_loss(generator, grey(BLURRED, side), grey(SHARP, side))
    assert {key: float(value.detach()) for key, value in computed.items()} == pytest.approx(terms, rel=1e-4)
    assert restored.detach().unique().tolist() == [RESTORED]
    total = torch.stack(list(computed.values())).sum()
    total.backward()
    assert generator.value.grad is not None
    if discriminator is None:
        return
    assert all(parameter.grad is None for parameter in objective.discriminators.parameters())
    if hasattr(objective.loss_weights, "gradient_penalty"):
        object.__setattr__(objective.loss_weights, "gradient_penalty", 0.0)  # its value has a test of its own
    loss = objective.discriminator_loss(grey(BLURRED, side), grey(RESTORED, side), grey(SHARP, side))
    assert float(loss.detach()) == pytest.approx(discriminator, rel=1e-4)


def test_every_term_has_a_gradient_that_goes_the_right_way() -> None:
    """Brighter restored images are nearer to the sharp ones and score higher, so every term falls."""
    for case, (name, weights, options, features, terms, _) in CASES.items():
        objective, side = make(name, weights, options, features), 256 if name in ("deepdeblur", "pyramid") else 128
        generator = Grey()
        computed, _ = objective.generator_loss(generator, grey(BLURRED, side), grey(SHARP, side))
        for term in terms.keys() - {"branch", "mse4", "mse2"}:  # those of other greys
            (slope,) = torch.autograd.grad(computed[term], generator.value, retain_graph=True)
            assert slope < 0, (case, term)


@pytest.mark.parametrize(("patches", "slope"), [(1, 3.0), (25, 3.0)])
def test_the_gradient_penalty_is_on_the_mean_of_the_patches(patches: int, slope: float) -> None:
    class Patches(nn.Module):
        def forward(self, batch: Tensor) -> Tensor:
            return (
                (batch.flatten(1).sum(1, keepdim=True) * slope / math.sqrt(12))
                .expand(-1, patches)
                .view(-1, 1, patches, 1)
            )

    objective = make("deblurgan", {}, {}, features=False)
    objective.discriminators = Patches()
    zero, one = torch.zeros(2, 3, 2, 2), torch.ones(2, 3, 2, 2)
    loss = objective.discriminator_loss(zero, zero, one)
    # The score of ones is 12 * 3 / sqrt(12); ten times the square of how far 3 is from 1.
    assert float(loss.detach()) == pytest.approx(-36 / math.sqrt(12) + 40, rel=1e-5)


def test_the_sr_papers_penalty_takes_the_place_of_clipping() -> None:
    objective = make("srgan_em", {"gradient_penalty": 10.0}, {"side": 64}, features=False)
    restored, sharp = grey(RESTORED, 64), grey(SHARP, 64)
    loss = objective.discriminator_loss(restored, restored, sharp)
    slope = 2 / math.sqrt(3 * 64 * 64)
    assert float(loss.detach()) == pytest.approx(-1 + 10 * (1 - slope) ** 2, rel=1e-5)


def test_the_printed_ssim_takes_statistics_of_whole_images() -> None:
    class Fixed(nn.Module):
        def branches(self, rgb: Tensor) -> Branches:
            return Branches(rgb, torch.tensor([[0.0, 1.0], [0.0, 1.0]]).expand(1, 3, 2, 2), None)

    sharp = torch.tensor([[0.25, 0.75], [0.75, 0.25]]).expand(1, 3, 2, 2)
    none = {"pixel": 0, "gradient": 0, "branch": 0, "ssim": 0, "adversarial": 0}
    objective = objectives.make("gggan", none | {"pre": 1}, {"ssim": "global"})
    terms, _ = objective.generator_loss(Fixed(), sharp, sharp)
    # Means 0.5 and 0.5, variances 0.25 and 0.0625, covariance 0.
    assert float(terms["pre"]) == pytest.approx(1 - 9e-4 / (0.3125 + 9e-4), rel=1e-6)
    ordered = torch.tensor([[0.25, 0.75], [0.25, 0.75]]).expand(1, 3, 2, 2)
    terms, _ = objective.generator_loss(Fixed(), ordered, ordered)
    assert float(terms["pre"]) == pytest.approx(1 - (0.25 + 9e-4) / (0.3125 + 9e-4), rel=1e-5)


def test_deblurgan_v2s_discriminators_look_at_patches_and_at_the_whole_crop() -> None:
    with torch.device("meta"):
        patch, whole = objectives.make("deblurgan_v2").discriminators
    assert [sum(p.numel() for p in part.parameters()) for part in (patch, whole)] == [2_764_737, 11_154_369]


def test_gggan_has_one_discriminator_unless_gradients_get_a_second() -> None:
    assert list(objectives.make("gggan").discriminators) == ["image"]
    assert list(objectives.make("gggan", {"gradient_adversarial": 0.005}).discriminators) == ["image", "gradient"]
