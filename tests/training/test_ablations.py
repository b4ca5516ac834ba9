"""Ablations are recipes that differ from their system's in what its paper says, and in nothing else."""

from dataclasses import asdict

import pytest
import torch

from restorekit.errors import UsageError
from restorekit.models import registry
from restorekit.training.recipe import Recipe

# What the papers compare with, typed from them: options of the network, loss weights, options of the objective.
PRINTED = {
    ("gggan", "no-gradient-branch"): ({"gradient_branch": False}, {}, {}),
    ("gggan", "no-prenet"): ({"prenet": "none"}, {}, {}),
    ("gggan", "rrdb"): ({"block": "rrdb"}, {}, {}),
    ("gggan", "plain-gan"): ({}, {}, {"gan": "non-saturating"}),
    ("srgan-em", "batch-norm"): ({"batch_norm": True}, {}, {}),
    ("srgan-em", "mse"): ({}, {"l1": 0.0, "mse": 1.0}, {}),
    ("srgan-em", "js"): ({}, {}, {"gan": "saturating"}),
    ("msdn", "single-scale"): ({"multi_scale": False}, {}, {}),
}


def test_the_systems_declare_the_ablations_of_their_papers() -> None:
    assert {(name, ablation) for name in registry.names() for ablation in registry.ablations(name)} == set(PRINTED)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "ablation"), PRINTED)
def test_an_ablation_changes_what_its_paper_says_and_nothing_else(name: str, ablation: str) -> None:
    config, loss_weights, objective = PRINTED[name, ablation]
    paper, ablated = Recipe.of_paper(name), Recipe.of_paper(name).ablated(ablation)
    assert ablated.config == paper.config | config
    assert ablated.loss_weights == paper.loss_weights | loss_weights
    assert ablated.objective == paper.objective | objective
    changed = {key for key, value in asdict(ablated).items() if value != asdict(paper)[key]}
    assert changed == {
        key
        for key, part in (("config", config), ("loss_weights", loss_weights), ("objective", objective))
        if part
    }  # fmt: skip


def test_ablations_of_a_system_add_up() -> None:
    both = Recipe.of_paper("srgan-em").ablated("mse").ablated("js")
    assert (both.loss_weights["l1"], both.objective["gan"]) == (0.0, "saturating")


@pytest.mark.slow
def test_msdn_without_its_multi_scale_block_is_dn() -> None:
    with torch.device("meta"):
        ablated = registry.build("msdn", **Recipe.of_paper("msdn").ablated("single-scale").config)
        dn = registry.build("dn")
    assert {k: v.shape for k, v in ablated.state_dict().items()} == {k: v.shape for k, v in dn.state_dict().items()}


@pytest.mark.parametrize(("name", "hint"), [("srgan-em", "batch-norm, mse, js"), ("espcn", "It has none")])
def test_an_ablation_that_no_paper_has_is_refused_with_those_there_are(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"{name} has no ablation 'rrdb'.*{hint}"):
        Recipe.of_paper(name).ablated("rrdb")
