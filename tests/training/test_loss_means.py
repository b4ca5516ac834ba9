import pytest
import torch

from restorekit.training.loss_means import LossMeans, NotFinite


def terms(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def test_means_are_per_step_of_all_terms_that_any_step_had() -> None:
    losses = LossMeans([])
    losses.add(terms(pixel=1.0))
    losses.add(terms(pixel=2.0, discriminator=-6.0))
    losses.add(terms(pixel=6.0))
    assert losses.means(3) == {"pixel": 3.0, "discriminator": -2.0}
    losses.clear()
    losses.add(terms(pixel=4.0))
    assert losses.means(4) == {"pixel": 4.0}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_the_first_step_and_term_that_is_not_finite_is_named(value: float) -> None:
    losses = LossMeans([terms(pixel=1.0, ssim=1.0), terms(pixel=1.0, ssim=value), terms(pixel=value, ssim=value)])
    with pytest.raises(NotFinite, match="'ssim' is no longer finite at step 12") as caught:
        losses.means(13)
    assert caught.value.step == 12
