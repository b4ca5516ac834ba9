"""Everything that decides a training run, in one place; saved beside the result and inside the weights."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from restorekit.degradation.choices import DownscaleMethod
from restorekit.degradation.degradation import Degradation
from restorekit.degradation.downscale import Downscale
from restorekit.degradation.random_blur import RandomBlur
from restorekit.errors import UsageError
from restorekit.models import registry

Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Recipe:
    """Settings of one run. The defaults are the GGGAN paper's where it prints them."""

    model: str
    config: dict[str, Any] = field(default_factory=dict)
    """Sizes of the network that differ from its defaults."""
    steps: int = 500_000
    batch: int = 4
    crop: int = 128
    learning_rate: float = 1e-4
    schedule: Literal["milestones", "cosine"] = "milestones"
    milestones: tuple[int, ...] = (50_000, 100_000, 200_000, 300_000)
    """Steps at which the learning rate falls to a tenth."""
    warmup: int = 0
    """Steps over which the learning rate rises from zero."""
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 0.0
    """Largest norm of a network's gradient; 0 leaves it alone, as the papers do."""
    average: float = 0.999
    """Decay of the running average of the weights, which is what validation measures and the result holds."""
    weights: dict[str, float] = field(default_factory=dict)
    """Loss terms that differ from the objective's defaults."""
    blur: RandomBlur = field(default_factory=RandomBlur)
    """How sharp pictures become blurred ones; unused for super-resolution."""
    features: str = ""
    """File of VGG weights for a perceptual term; without one pixels take its place."""
    shrink: DownscaleMethod = "matlab"
    """How large pictures become small ones for super-resolution; unused for deblurring."""
    precision: Precision = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.crop) < 1:
            raise UsageError("Steps, batch and crop must be at least 1.")
        if self.schedule not in ("milestones", "cosine"):
            raise UsageError(f"There is no schedule called '{self.schedule}'.", "Use milestones or cosine.")

    @staticmethod
    def is_printed(model: str) -> bool:
        """Whether the system's file tells what its paper prints of its training."""
        return hasattr(registry.find(model), "recipe")

    @classmethod
    def of_paper(cls, model: str) -> "Recipe":
        """What a system's paper prints of its training, and the GGGAN paper's settings for the rest."""
        return cls(model, **getattr(registry.find(model), "recipe", {}))

    def degradation(self) -> Degradation:
        """What sharp pictures go through: blur, or downscaling by the network's scale."""
        _, spec = registry.configure(self.model, **self.config)
        return Downscale(spec.scale, self.shrink) if spec.task == "sr" else self.blur

    def rate(self, step: int) -> float:
        """Learning rate of one step (counted from 0)."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if self.schedule == "cosine":
            return self.learning_rate * (1 + math.cos(math.pi * step / self.steps)) / 2
        return self.learning_rate * 0.1 ** sum(step >= milestone for milestone in self.milestones)

    def to_json(self) -> str:
        """One line that `from_json` reads back."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Read what `to_json` wrote."""

        def tuples(values: dict[str, Any]) -> dict[str, Any]:
            return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}

        values = json.loads(text)
        blur, config = RandomBlur(**tuples(values.pop("blur"))), tuples(values.pop("config"))
        return cls(**tuples(values), blur=blur, config=config)

    @classmethod
    def from_file(cls, path: Path) -> "Recipe":
        """Read a recipe.json."""
        return cls.from_json(path.read_text(encoding="utf-8"))
