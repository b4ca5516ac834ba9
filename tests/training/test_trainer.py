import copy

import pytest
import torch
from helpers import SMALL, noise
from torch import Tensor, nn

from restorekit.models import registry
from restorekit.training import processes
from restorekit.training.objectives.base import LossTerms, TrainingObjective
from restorekit.training.recipe import Recipe
from restorekit.training.trainer import Trainer

CPU = torch.device("cpu")


@pytest.mark.slow
def test_a_trainer_goes_on_from_its_state_with_the_same_random_numbers() -> None:
    recipe = Recipe("msdn", config=SMALL["msdn"] | {"dropout": 0.3}, loss_weights={"adversarial": 0})
    sharp = noise(2, 3, 64, 64)
    trainer = Trainer.build(recipe, CPU, torch.float32)
    trainer.step(0.9 * sharp, sharp)
    state = copy.deepcopy(trainer.state())
    expected = trainer.step(0.8 * sharp, sharp)["pixel"]
    other = Trainer.build(recipe, CPU, torch.float32)
    other.load_state(state)
    torch.manual_seed(99)
    assert torch.equal(other.step(0.8 * sharp, sharp)["pixel"], expected)
    assert other.steps_done == 2
    assert all(torch.equal(a, b) for a, b in zip(other.model.parameters(), trainer.model.parameters(), strict=True))


def test_every_step_seed_and_process_draws_other_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    for seed, rank in ((0, 0), (0, 1), (1, 0)):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        trainer = Trainer.build(Recipe("espcn", seed=seed), CPU, torch.float32)
        for _ in range(2):
            trainer.step(noise(1, 3, 8, 8), noise(1, 3, 32, 32))
            drawn.append(float(torch.rand(1)))
    assert len(set(drawn)) == 6


# Sang's discriminator has no batch normalisation: averages over a batch would be those of a pass.
# SGD, because Adam's first steps go by the sign of a gradient: rounding alone would part the two.
ADVERSARIAL = Recipe(
    "sang", config=SMALL["sang"], batch=4, crop=128, gradient_clip=0.1, optimizer="sgd", learning_rate=1e-5
)


@pytest.mark.slow
def test_a_batch_in_passes_gives_the_gradients_and_losses_of_the_whole_batch() -> None:
    sharp = noise(4, 3, 128, 128)
    whole, parts = (Trainer.build(ADVERSARIAL.replacing(accumulate=passes), CPU, torch.float32) for passes in (1, 2))
    for step in range(3):
        expected, terms = (trainer.step((0.9 - 0.1 * step) * sharp, sharp) for trainer in (whole, parts))
        assert terms.keys() == expected.keys() >= {"adversarial", "discriminator"}
        for name in terms:
            torch.testing.assert_close(terms[name], expected[name], rtol=1e-4, atol=1e-6)
        for ours, theirs in (
            (parts.model, whole.model),
            (parts.objective.discriminators, whole.objective.discriminators),
        ):
            for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
                torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-3 * float(other.grad.abs().max()))


def test_the_running_average_follows_by_its_decay() -> None:
    trainer = Trainer.build(Recipe("espcn", ema_decay=0.75), CPU, torch.float32)
    expected = {}
    for step in range(3):
        sharp = noise(1, 3, 32, 32)
        trainer.step(sharp[..., ::4, ::4], sharp)
        for name, value in trainer.model.named_parameters():
            value = value.detach().clone()
            expected[name] = value if step == 0 else 0.75 * expected[name] + 0.25 * value  # it begins at the first
    for name, value in trainer.average.module.named_parameters():
        torch.testing.assert_close(value.detach(), expected[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_gradients_are_clipped_to_their_largest_norm(dtype: torch.dtype) -> None:
    trainer = Trainer.build(Recipe("espcn", gradient_clip=1e-3), CPU, dtype)  # float16 scales them before
    sharp = noise(1, 3, 32, 32)
    trainer.step(sharp[..., ::4, ::4], sharp)
    gradients = torch.cat([parameter.grad.flatten() for parameter in trainer.model.parameters()])
    torch.testing.assert_close(gradients.norm(), torch.tensor(1e-3), rtol=0.01, atol=0)


def test_every_step_has_the_recipes_learning_rate() -> None:
    recipe = Recipe("espcn", schedule="milestones", milestones=(1,), warmup=0, learning_rate=1e-3)
    trainer = Trainer.build(recipe, CPU, torch.float32)
    sharp, rates = noise(1, 3, 32, 32), []
    for _ in range(2):
        trainer.step(sharp[..., ::4, ::4], sharp)
        rates.append(trainer.optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([1e-3, 1e-4])


class Watched(TrainingObjective):
    """Its discriminator takes two steps after the first of the generator, none after the second."""

    def __init__(self) -> None:
        super().__init__()
        self.discriminators = nn.Conv2d(3, 1, 1)
        self.calls: list[str] = []

    def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
        self.calls.append("generator")
        restored = model(degraded)
        return {"mean": restored.mean()}, restored

    def discriminator_steps(self, step: int) -> int:
        return [2, 0][step]

    def discriminator_loss(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        assert not restored.requires_grad  # these steps train the discriminator alone
        self.calls.append("discriminator")
        return self.discriminators(sharp).mean() - self.discriminators(restored).mean()

    def constrain(self) -> None:
        self.calls.append("constraint")


def test_discriminators_take_their_steps_with_the_recipes_optimiser_and_are_constrained_after_each() -> None:
    recipe = Recipe("espcn", betas=(0.5, 0.75), learning_rate=1e-3)
    objective = Watched()
    trainer = Trainer(recipe, registry.build("espcn"), objective, torch.float32)
    before = objective.discriminators.weight.detach().clone()
    sharp = noise(1, 3, 32, 32)
    first = trainer.step(sharp[..., ::4, ::4], sharp)
    assert objective.calls == ["generator", *["discriminator", "constraint"] * 2]
    moved = objective.discriminators.weight.detach() - before
    # Adam with the same gradient goes one learning rate a step, down the loss.
    gradient = sharp.mean((0, 2, 3)) - trainer.model(sharp[..., ::4, ::4]).detach().mean((0, 2, 3))
    torch.testing.assert_close(moved.flatten(), -2e-3 * gradient.sign(), rtol=1e-3, atol=1e-6)
    second = trainer.step(sharp[..., ::4, ::4], sharp)
    assert objective.calls[5:] == ["generator"]
    assert (first.keys(), second.keys()) == ({"mean", "discriminator"}, {"mean"})
    assert not any(term.requires_grad for term in (first | second).values())
    assert trainer.discriminator_optimiser is not None
    assert trainer.discriminator_optimiser.param_groups[0]["betas"] == (0.5, 0.75)


class Remembers(Watched):
    """Keeps what both losses saw."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Tensor] = []
        self.seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
        terms, restored = super().generator_loss(model, degraded, sharp)
        self.made.append(restored.detach().clone())
        return terms, restored

    def discriminator_loss(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
        self.seen.append((degraded, restored, sharp))
        return super().discriminator_loss(degraded, restored, sharp)


def test_the_discriminator_sees_every_pass_as_the_generator_left_it() -> None:
    objective = Remembers()
    trainer = Trainer(Recipe("espcn", batch=4, accumulate=2), registry.build("espcn"), objective, torch.float32)
    sharp = noise(4, 3, 32, 32)
    degraded = sharp[..., ::4, ::4]
    trainer.step(degraded, sharp)
    assert len(objective.made) == 2
    assert len(objective.seen) == 4  # two steps of two passes
    for index, seen in enumerate(objective.seen):
        half = slice(2 * (index % 2), 2 * (index % 2) + 2)
        for one, other in zip(seen, (degraded[half], objective.made[index % 2], sharp[half]), strict=True):
            assert torch.equal(one, other)


def test_passes_give_the_gradients_and_losses_of_the_whole_batch() -> None:
    sharp = noise(4, 3, 32, 32)
    whole, parts = (Trainer.build(Recipe("espcn", batch=4, accumulate=passes), CPU, torch.float32) for passes in (1, 4))
    for _ in range(2):
        expected, terms = (trainer.step(sharp[..., ::4, ::4], sharp) for trainer in (whole, parts))
        torch.testing.assert_close(terms, expected, rtol=1e-5, atol=0)
        for one, other in zip(parts.model.parameters(), whole.model.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4 * float(other.grad.abs().max()))


def test_the_seed_decides_the_first_weights() -> None:
    first, second, other = (Trainer.build(Recipe("espcn", seed=seed), CPU, torch.float32) for seed in (3, 3, 4))
    (one, two, three) = (next(trainer.model.parameters()) for trainer in (first, second, other))
    assert torch.equal(one, two)
    assert not torch.equal(one, three)


class Alternates(Watched):
    """One step of the discriminator after each of the generator, against which it plays."""

    def discriminator_steps(self, step: int) -> int:
        return 1

    def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
        restored = model(degraded)
        return {"adversarial": self.discriminators(restored).mean()}, restored


def test_a_trainer_goes_on_with_its_average_discriminators_and_optimisers() -> None:
    recipe, sharp = Recipe("espcn", ema_decay=0.5, learning_rate=1e-2), noise(2, 3, 32, 32)

    def build(seed: int) -> Trainer:
        torch.manual_seed(seed)
        return Trainer(recipe, registry.build("espcn"), Alternates(), torch.float32)

    first, second = build(0), build(1)
    first.step(sharp[..., ::4, ::4], sharp)
    second.load_state(copy.deepcopy(first.state()))
    for trainer in (first, second):
        trainer.step(sharp[..., 1::4, 1::4], sharp)
    for ours, theirs in (
        (second.model, first.model),
        (second.average, first.average),
        (second.objective, first.objective),
    ):
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_both_losses_are_computed_in_the_type_that_is_asked_for(dtype: torch.dtype) -> None:
    seen = []

    class Looks(Alternates):
        def generator_loss(self, model: nn.Module, degraded: Tensor, sharp: Tensor) -> tuple[LossTerms, Tensor]:
            seen.append(nn.functional.conv2d(degraded, degraded.new_ones(3, 3, 1, 1)).dtype)
            return super().generator_loss(model, degraded, sharp)

        def discriminator_loss(self, degraded: Tensor, restored: Tensor, sharp: Tensor) -> Tensor:
            seen.append(self.discriminators(sharp).dtype)
            return super().discriminator_loss(degraded, restored, sharp)

    sharp = noise(1, 3, 32, 32)
    Trainer(Recipe("espcn"), registry.build("espcn"), Looks(), dtype).step(sharp[..., ::4, ::4], sharp)
    assert seen == [dtype, dtype]
