"""Everything that decides a training run, in one place; saved beside the result and inside the weights."""

import json
import math
from dataclasses import asdict, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass

from restorekit.degradation.choices import DownscaleMethod
from restorekit.degradation.degradation import Degradation
from restorekit.degradation.downscale import Downscale
from restorekit.degradation.random_blur import RandomBlur
from restorekit.errors import RestorekitError, UsageError
from restorekit.models import registry
from restorekit.runtime.precision import Precision
from restorekit.training import objectives, sources
from restorekit.training.augmentation import Augment

Decay = Annotated[float, Field(ge=0, lt=1)]
Optimizer = Literal["adam", "sgd"]
Schedule = Literal["constant", "milestones", "linear", "exponential", "cosine"]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Recipe:
    """Settings of one run. The defaults are ours; what a system's paper prints is in the system's file."""

    model: str
    config: dict[str, Any] = field(default_factory=dict)
    """Sizes of the network that differ from its defaults."""
    steps: PositiveInt = 500_000
    batch: PositiveInt = 4
    """Crops per step."""
    accumulate: PositiveInt = 1
    """Passes that a step's crops are divided among, one after the other, so that they need less memory. Averages that losses
    and batch normalisation take over a batch are then those of one pass."""
    crop: PositiveInt = 128
    """Side of the sharp crops in pixels."""
    learning_rate: PositiveFloat = 1e-4
    schedule: Schedule = "constant"
    """How the learning rate falls: at `milestones`, or from `decay_from` on in a line or exponentially to `floor`, or along
    a cosine to zero."""
    milestones: tuple[PositiveInt, ...] = ()
    """Steps at which the learning rate is multiplied with `decay`."""
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.1
    decay_from: NonNegativeInt = 0
    """Step up to which a linear or exponential schedule is flat."""
    floor: NonNegativeFloat = 0.0
    """Learning rate at which a linear or exponential schedule ends."""
    power: PositiveFloat = 1.0
    """Exponent of what is left of a linear schedule; 1 is a line."""
    warmup: NonNegativeInt = 0
    """Steps over which the learning rate rises from zero."""
    rate_factors: dict[str, NonNegativeFloat] = field(default_factory=dict)
    """What the learning rate of some parameters is multiplied with, by patterns of their names: {"*.bias": 0.1}. The first
    pattern that matches counts."""
    optimizer: Optimizer = "adam"
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Adam's."""
    momentum: Decay = 0.0
    """SGD's."""
    weight_decay: NonNegativeFloat = 0.0
    gradient_clip: NonNegativeFloat = 0.0
    """Largest norm of a network's gradient; 0 leaves it alone, as most papers do."""
    clip_by: Literal["norm", "value"] = "norm"
    """Whether `gradient_clip` limits the norm or every value of the gradient."""
    clip_over_rate: bool = False
    """Divide `gradient_clip` by the learning rate of the step: VDSR's theta / rate."""
    clip_only: str = ""
    """Clip the parameters whose names match this pattern alone, such as "lstm.*"; empty for all."""
    ema_decay: Decay = 0.0
    """Decay of the running average of the weights, which is what validation measures and the result holds; 0 takes the
    weights as they are, as the papers do."""
    keep: tuple[PositiveInt, ...] = ()
    """Steps whose weights are kept beside the last ones."""
    augment: Augment = "flips-and-turns"
    """What crops go through beside blur: see `augmentation`."""
    loss_weights: dict[str, float] = field(default_factory=dict)
    """Weights of loss terms that differ from the objective's defaults."""
    objective: dict[str, Any] = field(default_factory=dict)
    """Options of the objective that differ from its defaults."""
    blur: RandomBlur = field(default_factory=RandomBlur)
    """How sharp images become blurred ones; unused for super-resolution."""
    features: str = ""
    """File of VGG weights for a perceptual term; without one it is left out, or pixels take its place."""
    downscale: DownscaleMethod = "matlab"
    """How large images become small ones for super-resolution; unused for deblurring."""
    precision: Precision = "auto"
    seed: NonNegativeInt = 0

    @model_validator(mode="after")
    def _fits_its_system(self) -> Self:
        """The system exists and has these sizes, loss terms and options."""
        config = {name: tuple(value) if isinstance(value, list) else value for name, value in self.config.items()}
        object.__setattr__(self, "config", config)  # JSON has no tuples
        _, spec = registry.configure(self.model, **config)
        if not spec.learns:
            raise UsageError(f"'{self.model}' has nothing to learn.", "Train another model.")
        if self.schedule == "exponential" and not self.floor:
            raise UsageError("An exponential schedule never ends at 0.", "Give the recipe a floor.")
        objectives.check(spec.objective, self.loss_weights, self.objective)
        if self.batch % self.accumulate:
            raise UsageError(
                f"A batch of {self.batch} does not divide into {self.accumulate} passes.",
                "Change `batch` or `accumulate`.",
            )
        return self

    @staticmethod
    def is_printed(model: str) -> bool:
        """Whether the system's file tells what its paper prints of its training."""
        return hasattr(registry.find(model), "recipe")

    @classmethod
    def of_paper(cls, model: str, features: str = "") -> "Recipe":
        """What a system's paper and its authors' code say of its training, and our settings for the rest.

        Args:
            model: the system.
            features: file of VGG weights; without one, a loss on features has a stand-in.

        Raises:
            UsageError: the system has nothing to learn.
        """
        settings, _ = sources.read(model, with_features=bool(features))
        try:
            return cls(model, features=features, **settings)
        except ValidationError as error:
            raise _usage_error(error) from None

    def replacing(self, **settings: object) -> "Recipe":
        """The same recipe with other settings.

        Raises:
            UsageError: there is no such setting, or it has no such value.
        """
        try:
            return replace(self, **settings)  # type: ignore[arg-type]
        except ValidationError as error:
            raise _usage_error(error) from None

    def ablated(self, name: str) -> "Recipe":
        """The same recipe for a variant that the system's paper compares it with.

        Args:
            name: of the ablation; see `restorekit.models.registry.ablations`.

        Raises:
            UsageError: the system has no such ablation.
        """
        variant = registry.find_ablation(self.model, name)
        return self.replacing(
            config=self.config | dict(variant.config),
            loss_weights=self.loss_weights | dict(variant.loss_weights),
            objective=self.objective | dict(variant.objective),
        )

    def degradation(self) -> Degradation:
        """What sharp images go through: blur, or downscaling by the network's scale."""
        _, spec = registry.configure(self.model, **self.config)
        return Downscale(spec.scale, self.downscale) if spec.task == "sr" else self.blur

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of one step (counted from 0)."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if self.schedule == "milestones":
            return self.learning_rate * self.decay ** sum(step >= milestone for milestone in self.milestones)
        if self.schedule == "cosine":
            return self.learning_rate * (1 + math.cos(math.pi * step / self.steps)) / 2
        share = max(0, step - self.decay_from) / max(1, self.steps - self.decay_from)
        if self.schedule == "linear":
            return self.floor + (self.learning_rate - self.floor) * math.pow(1 - share, self.power)
        if self.schedule == "exponential":
            return self.learning_rate * math.pow(self.floor / self.learning_rate, share)
        return self.learning_rate

    @property
    def missing_features(self) -> str:
        """The layer of VGG that the loss would compare if `features` named weights; empty if nothing is missing."""
        if self.features:
            return ""
        return (
            objectives.features_layer(registry.spec_of(self.model).objective, self.loss_weights, self.objective) or ""
        )

    def to_json(self) -> str:
        """One line that `from_json` reads back."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes, path: Path | None = None) -> "Recipe":
        """Read what `to_json` wrote.

        Args:
            text: JSON; keys that are absent keep their defaults.
            path: where it came from, for messages.

        Raises:
            UsageError: no recipe, an unknown key, or a value that makes no sense; the message names the key.
        """
        try:
            return TypeAdapter(cls).validate_json(text)
        except ValidationError as error:
            raise _usage_error(error, path) from None

    @classmethod
    def from_file(cls, path: Path) -> "Recipe":
        """Read a recipe.json.

        Raises:
            UsageError: see `from_json`, or the file cannot be read.
        """
        try:
            text = path.read_bytes()
        except OSError as error:
            raise UsageError(f"The recipe cannot be read ({error.strerror}).", path=path) from None
        return cls.from_json(text, path)


def _usage_error(error: ValidationError, path: Path | None = None) -> UsageError:
    """The first fault that pydantic found, by the name of its key.

    Args:
        error: what pydantic raised.
        path: the file that the recipe was read from.
    """
    fault = error.errors(include_url=False)[0]
    cause = fault.get("ctx", {}).get("error")
    if isinstance(cause, RestorekitError):
        return UsageError(cause.reason, cause.hint, path)
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] == "unexpected_keyword_argument":
        near = get_close_matches(key, [setting.name for setting in fields(Recipe)], n=1)
        return UsageError(f"The recipe has no '{key}'.", f"Did you mean {near[0]}?" if near else "", path)
    return UsageError(f"The recipe is wrong{f' at {key}' if key else ''}: {fault['msg']}.", path=path)
