"""What systems say of their cost, in every size: counted and measured on shapes alone."""

import pytest
import torch
from helpers import SMALL, LiveMemory

from restorekit.models import registry

SIDE = 256


def live_bytes_per_pixel(name: str, options: dict[str, object]) -> float:
    with torch.device("meta"), torch.inference_mode():
        model, rgb = registry.build(name, **options).eval(), torch.empty(1, 3, SIDE, SIDE)
        with LiveMemory() as memory:
            model(rgb)
    return memory.peak / SIDE**2


OTHER: list[tuple[str, dict[str, object]]] = [
    ("bicubic", {"scale": 2}),
    ("compact", {"channels": 128, "scale": 2}),
    ("deblurgan", {"channels": 96}),
    ("deblurgan-v2", {"filters": 256}),
    ("deepdeblur", {"channels": 96, "scales": 2}),
    ("dgf", {"growth": 96}),
    ("drrn", {"scale": 2, "units": 3}),
    ("dsrn", {"scale": 2}),
    ("espcn", {"scale": 8}),
    ("esrgan", {"scale": 2, "blocks": 2}),
    ("gggan", {"channels": 96, "modules": 4, "taps": (2, 4)}),
    ("gggan-lite", {"channels": 128}),
    ("msdn", {"growth": 32, "layers": 2}),
    ("noroozi", {"widths": (64, 64, 128)}),
    ("sang", {"channels": 96}),
    ("spsr", {"scale": 2, "blocks": 4, "taps": (2,)}),
    ("srgan-em", {"scale": 8}),
    ("srn", {"planes": "together"}),
    ("svrnn", {"channels": 64}),
    ("vdsr", {"scale": 3, "bias": False}),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in registry.names() if registry.spec_of(name).blur == "none"),
        *((name, SMALL[name]) for name in SMALL if registry.spec_of(name).blur == "none"),
        *OTHER,
    ],
)
def test_memory_is_what_the_spec_says_in_every_size(name: str, options: dict[str, object]) -> None:
    said = registry.configure(name, **options)[1].bytes_per_pixel
    live = live_bytes_per_pixel(name, options)
    # Convolutions need room of their own beside the maps, up to three times these where the maps are thin.
    assert 0.65 * live < said < 4 * live


@pytest.mark.parametrize(
    ("name", "options", "parameters", "macs"),
    [
        # By hand: 5x5 to 2 maps, four 5x5 of the blocks, 5x5 to 3; a multiply-accumulate for every weight and pixel.
        ("sang", {"channels": 2, "blocks": 2}, 25 * (6 + 4 * 4 + 6) + 2 + 4 * 2 + 3, 25 * (6 + 4 * 4 + 6)),
        # 3x3 to 4 maps, one more, 3x3 to 3 x 4 maps; a slope for each of the 4 maps, twice.
        ("compact", {"channels": 4, "convolutions": 1, "scale": 2}, 9 * (12 + 16 + 48) + 20 + 8, 9 * (12 + 16 + 48)),
        # 3x3 to 1 and 2 maps on the enlarged luma of 9 pixels each.
        ("vdsr", {"channels": 2, "layers": 2, "scale": 3}, 9 * (2 + 2) + 3, 9 * 9 * (2 + 2)),
    ],
)
def test_parameters_and_work_follow_the_sizes(
    name: str, options: dict[str, object], parameters: int, macs: int
) -> None:
    spec = registry.configure(name, **options)[1]
    assert (spec.parameters, spec.macs_per_pixel) == (parameters, macs)
