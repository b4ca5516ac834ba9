"""Every system trains towards its own objective: with its discriminators, and with features where it takes them."""

import math
from pathlib import Path

import pytest
import torch
from helpers import SMALL, VGG16, VGG19, learning_systems, save_vgg
from torch import Tensor, nn

from restorekit.errors import UsageError, WeightsError
from restorekit.models import registry
from restorekit.training import objectives
from restorekit.training.perceptual import Layer, load_features
from restorekit.training.recipe import Recipe
from restorekit.training.trainer import Trainer
from restorekit.weights import state_dict

CROPS = {"deepdeblur": 256}
HEAVY = {"deblurgan", "deblurgan-v2", "deblurgan-v2-inception", "gggan", "spsr", "spsr-deblur", "srgan-em"}
NAMES = [pytest.param(name, marks=pytest.mark.slow if name in HEAVY else ()) for name in learning_systems()]

GRADIENT_GUIDED = {"pixel", "gradient", "branch", "ssim", "adversarial", "discriminator"}
TERMS = {
    "deblurgan": {"pixel", "adversarial", "discriminator"},
    "deblurgan_v2": {"mse", "adversarial_patch", "adversarial_global", "discriminator"},
    "deepdeblur": {"mse1", "mse2", "mse4", "adversarial", "discriminator"},
    "dgf": {"l1", "adversarial", "discriminator"},
    "gggan": {"pre"} | GRADIENT_GUIDED,
    "kernel_fit": {"kernel"},
    "line_label": {"label"},
    "motion_field": {"u", "v"},
    "msdn": {"pixel", "adversarial"},  # the critic's first step comes later
    "patch_filter": {"mse"},
    "pixel": {"l1"},
    "pyramid": {"mse1", "mse2", "mse4"},
    "sang": {"mse", "adversarial", "discriminator"},
    "srgan_em": {"l1", "adversarial", "discriminator"},
}
"""Loss terms of the first step by objective."""


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_vgg(tmp_path_factory.mktemp("vgg") / "vgg16.safetensors", VGG16)


@pytest.fixture(scope="module")
def vgg19(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_vgg(tmp_path_factory.mktemp("vgg") / "vgg19.safetensors", VGG19)


def steps(recipe: Recipe, count: int) -> tuple[Trainer, list[dict[str, float]]]:
    """A trainer, and the loss terms of its first steps on seeded noise and the same at nine tenths."""
    trainer = Trainer.build(recipe, torch.device("cpu"), torch.float32)
    generator = torch.Generator().manual_seed(1)
    side, scale = CROPS.get(recipe.model, 128), registry.spec_of(recipe.model).scale
    losses = []
    for _ in range(count):
        sharp = torch.rand(2, 3, side, side, generator=generator)
        terms = trainer.step(0.9 * nn.functional.avg_pool2d(sharp, scale), sharp)
        losses.append({name: float(term) for name, term in terms.items()})
    return trainer, losses


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_system_takes_a_step_towards_its_objective(name: str) -> None:
    recipe = Recipe(name, config=SMALL.get(name, {}), batch=2, learning_rate=1e-3)
    trainer, (losses,) = steps(recipe, 1)
    expected = TERMS[registry.spec_of(name).objective]
    assert losses.keys() == (expected - {"pre"} if name.startswith("spsr") else expected)
    assert all(math.isfinite(value) for value in losses.values())
    torch.manual_seed(recipe.seed)
    untrained = dict(registry.build(name, **recipe.config).named_parameters())
    changes = [float((value - untrained[key]).detach().abs().max()) for key, value in trainer.model.named_parameters()]
    assert max(changes) == pytest.approx(recipe.learning_rate, rel=0.01)  # Adam's first step, whatever the gradient


# Two steps of these systems before objectives were written as they are now: batch 2, seed 3, betas 0.5 and 0.999,
# gradient_clip 0.5. Tolerances are for other processors, which round differently.
PINNED = {
    "gggan-lite": [
        {
            "pre": 10.983109,
            "pixel": 0.050021,
            "gradient": 0.05248,
            "branch": 0.301777,
            "ssim": 0.002197,
            "adversarial": 0.003462,
            "gradient_adversarial": 0.003441,
            "discriminator": 1.394137,
        },
        {
            "pre": 10.936737,
            "pixel": 0.046892,
            "gradient": 0.052384,
            "branch": 0.282386,
            "ssim": 0.002038,
            "adversarial": 0.003483,
            "gradient_adversarial": 0.003516,
            "discriminator": 1.397363,
        },
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PINNED)
def test_training_steps_are_those_of_the_first_release(name: str) -> None:
    weights = {"gradient_adversarial": 0.005} if name == "gggan-lite" else {}
    config, betas = SMALL.get(name, {}), (0.5, 0.999)
    recipe = Recipe(name, config, batch=2, betas=betas, gradient_clip=0.5, loss_weights=weights, seed=3)
    _, losses = steps(recipe, 2)
    for step, expected in zip(losses, PINNED[name], strict=True):
        assert step == pytest.approx(expected, rel=5e-3, abs=2e-6)


@pytest.mark.parametrize("name", ["deblurgan", "deblurgan-v2", "dgf", "msdn"])
def test_features_join_or_take_the_place_of_pixels(name: str, vgg16: Path, vgg19: Path) -> None:
    file = vgg16 if name == "dgf" else vgg19
    objective = objectives.make(registry.spec_of(name).objective, {"adversarial": 0}, features=file)
    model = registry.build(name, **SMALL.get(name, {}))
    terms, _ = objective.generator_loss(model, torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))
    assert (
        terms.keys()
        == {
            "deblurgan": {"perceptual"},
            "deblurgan-v2": {"mse", "perceptual"},
            "dgf": {"l1", "perceptual"},
            "msdn": {"perceptual"},
        }[name]
    )


@pytest.mark.parametrize(("layer", "places"), [("conv3_3", 7), ("vgg16.conv5_3", 13), ("vgg19.conv5_4", 16)])
def test_features_are_those_of_the_layer_before_its_relu(layer: Layer, places: int, vgg16: Path, vgg19: Path) -> None:
    file, order = (vgg16, VGG16) if layer == "vgg16.conv5_3" else (vgg19, VGG19)
    state, rgb = state_dict.load(file), torch.rand(1, 3, 64, 64)
    x = (rgb - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    for number, place in enumerate(order[:places]):
        if number:
            x = x.relu()
            if place - order[number - 1] == 3:  # a pooling layer is between
                x = nn.functional.max_pool2d(x, 2)
        x = nn.functional.conv2d(x, state[f"features.{place}.weight"], padding=1)
    restored, sharp = load_features(file, layer)(rgb.requires_grad_(), rgb)
    torch.testing.assert_close(restored, x)
    torch.testing.assert_close(sharp, x)
    assert restored.requires_grad
    assert not sharp.requires_grad


def test_features_are_frozen(vgg19: Path) -> None:
    assert not any(parameter.requires_grad for parameter in load_features(vgg19, "vgg19.conv5_4").parameters())


def test_the_other_vgg_is_refused_by_what_it_lacks(vgg16: Path, vgg19: Path) -> None:
    with pytest.raises(WeightsError, match=r"no features\.16\.weight.*VGG-19"):
        load_features(vgg16, "vgg19.conv5_4")
    with pytest.raises(WeightsError, match=r"no features\.17\.weight.*VGG-16"):
        load_features(vgg19, "vgg16.conv5_3")


def test_losses_without_a_perceptual_term_refuse_features(vgg19: Path) -> None:
    for name in ("pixel", "gggan"):  # gggan's has the weight 0 unless a recipe gives it one
        with pytest.raises(UsageError, match="no perceptual term"):
            objectives.make(name, features=vgg19)


def test_unknown_terms_and_options_are_named_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match=r"loss has no option 'pixels'\. .* l1, mse"):
        objectives.make("pixel", {"pixels": 1})
    with pytest.raises(UsageError, match=r"objective has no option 'steps'\. .* discriminator_steps, generator_steps"):
        objectives.make("deblurgan", options={"steps": 1})
    with pytest.raises(UsageError, match=r"objective does not take gan=vgan: .*'wgan'"):
        objectives.make("srgan_em", options={"gan": "vgan"})
    with pytest.raises(UsageError, match="no options, so no 'gan'"):
        objectives.make("pixel", options={"gan": "wgan"})


def test_the_command_lines_texts_become_typed_weights_and_options() -> None:
    assert objectives.parse_loss_weights("msdn", ["adversarial=0", "pixel=2.5"]) == {"adversarial": 0, "pixel": 2.5}
    assert objectives.parse_options("msdn", ["generator_steps=3"]) == {"generator_steps": 3}
    assert objectives.parse_options("srgan-em", ["gan=ragan", "clip=0.02"]) == {"gan": "ragan", "clip": 0.02}
    with pytest.raises(UsageError, match=r"generator_steps=0"):
        objectives.parse_options("msdn", ["generator_steps=0"])
    with pytest.raises(UsageError, match=r"loss of msdn does not take pixel=lots"):
        objectives.parse_loss_weights("msdn", ["pixel=lots"])
    with pytest.raises(UsageError, match=r"espcn has no options"):
        objectives.parse_options("espcn", ["gan=wgan"])


def test_the_critic_takes_its_papers_number_of_steps() -> None:
    assert [objectives.make("deblurgan").discriminator_steps(step) for step in range(3)] == [5, 5, 5]
    assert [objectives.make("msdn").discriminator_steps(step) for step in range(6)] == [0, 0, 0, 0, 1, 0]


def largest_weight(objective: nn.Module) -> float:
    return max(float(p.detach().abs().max()) for p in objective.discriminators.features[0].parameters())


def test_the_sr_critic_stays_within_its_clip_unless_something_else_constrains_it() -> None:
    for weights, options, clipped in (
        ({}, {}, True),
        ({"gradient_penalty": 10}, {}, False),
        ({}, {"gan": "non-saturating"}, False),
    ):
        objective = objectives.make("srgan_em", weights, {"side": 64, "clip": 0.005, **options})
        objective.constrain()
        assert (largest_weight(objective) <= 0.005) is clipped


def test_the_sr_critic_refuses_small_crops() -> None:
    batch = torch.rand(2, 3, 32, 32)
    with pytest.raises(UsageError, match="64 px"):
        objectives.make("srgan_em", options={"side": 64}).discriminator_loss(batch, batch, batch)


class Brightness(nn.Module):
    """A discriminator whose score is the mean of what it sees."""

    def forward(self, batch: Tensor) -> Tensor:
        return batch.flatten(1).mean(1, keepdim=True)


def test_the_sr_critic_sees_the_centre_in_the_range_from_minus_one_to_one() -> None:
    objective = objectives.make("srgan_em", options={"side": 64})
    objective.discriminators = Brightness()
    sharp = torch.zeros(1, 3, 128, 128)
    sharp[..., 32:96, 32:96] = 1
    loss = objective.discriminator_loss(sharp, torch.full_like(sharp, 0.25), sharp)
    assert float(loss) == pytest.approx(-0.5 - 1)  # WGAN: restored minus sharp


def test_dgfs_discriminator_sees_the_degraded_image_too() -> None:
    objective = objectives.make("dgf")
    objective.discriminators = Brightness()
    degraded, batch = torch.full((1, 3, 8, 8), 4.0), torch.zeros(1, 3, 8, 8)
    loss = objective.adversarial_loss(degraded, batch, batch)
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-2)))  # the mean over both is 2
