"""DeblurGAN-v2: upstream's files, padding, statistics, precision."""

from itertools import pairwise
from types import ModuleType

import pytest
import torch
from helpers import randomise
from torch import Tensor, nn

from restorekit.errors import WeightsError
from restorekit.models import registry
from restorekit.models.deblur import deblurgan_v2, deblurgan_v2_inception

MOBILE, INCEPTION = "deblurgan-v2", "deblurgan-v2-inception"

# Upstream's Sequentials that hold parts of the backbone a second time, as slices of `features` or lists of names.
MOBILE_SLICES = {"enc0": (0, 2), "enc1": (2, 4), "enc2": (4, 7), "enc3": (7, 11), "enc4": (11, 16)}
INCEPTION_PARTS = {
    "enc1": ("conv2d_2a", "conv2d_2b"),
    "enc2": ("conv2d_3b", "conv2d_4a"),
    "enc3": ("mixed_5b", "repeat", "mixed_6a"),
    "enc4": ("repeat_1", "mixed_7a"),
}


class Upstream(dict[str, Tensor]):
    """A state dict in upstream's layout, written down from its class definitions; tensors without memory."""

    def norm(self, at: str, maps: int, affine: bool) -> None:
        for part in ("weight", "bias", "running_mean", "running_var") if affine else ("running_mean", "running_var"):
            self[f"{at}.{part}"] = torch.empty(maps, device="meta")
        self[f"{at}.num_batches_tracked"] = torch.empty((), dtype=torch.long, device="meta")

    def conv(self, at: str, *shape: int, bias: bool) -> None:
        self[f"{at}.weight"] = torch.empty(shape, device="meta")
        if bias:
            self[f"{at}.bias"] = torch.empty(shape[0], device="meta")

    def unit(self, at: str, *shape: int) -> None:
        self.conv(f"{at}.conv", *shape, bias=False)
        self.norm(f"{at}.bn", shape[0], affine=True)

    def decoder(self, filters: int, widths: tuple[int, ...]) -> None:
        n = filters // 2
        for level, width in enumerate(widths):
            self.conv(f"fpn.lateral{level}", filters if level else n, width, 1, 1, bias=False)
        for level in (1, 2, 3):
            self.conv(f"fpn.td{level}.0", filters, filters, 3, 3, bias=True)
            self.norm(f"fpn.td{level}.1", filters, affine=False)
        for level in (1, 2, 3, 4):
            self.conv(f"head{level}.block0", n, filters, 3, 3, bias=False)
            self.conv(f"head{level}.block1", n, n, 3, 3, bias=False)
        for at, maps, inputs in (("smooth", n, 4 * n), ("smooth2", n // 2, n)):
            self.conv(f"{at}.0", maps, inputs, 3, 3, bias=True)
            self.norm(f"{at}.1", maps, affine=False)
        self.conv("final", 3, n // 2, 3, 3, bias=True)

    def double(self, original: str, copy: str) -> None:
        self.update({copy + k.removeprefix(original): v for k, v in self.items() if k.startswith(original)})


def upstream_mobile() -> Upstream:
    state = Upstream()
    state.decoder(128, (16, 24, 32, 64, 160))

    def block(at: str, *convs: tuple[int, ...]) -> None:
        for index, shape in enumerate(convs):  # convolution, norm, ReLU6
            state.conv(f"{at}.{3 * index}", *shape, bias=False)
            state.norm(f"{at}.{3 * index + 1}", shape[0], affine=True)

    block("fpn.features.0", (32, 3, 3, 3))
    block("fpn.features.1.conv", (32, 1, 3, 3), (16, 32, 1, 1))
    widths = [16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320]
    for index, (before, after) in enumerate(pairwise(widths), start=2):
        wide = 6 * before
        block(f"fpn.features.{index}.conv", (wide, before, 1, 1), (wide, 1, 3, 3), (after, wide, 1, 1))
    block("fpn.features.18", (1280, 320, 1, 1))
    for name, (start, stop) in MOBILE_SLICES.items():
        for block_at in range(start, stop):
            state.double(f"fpn.features.{block_at}.", f"fpn.{name}.{block_at - start}.")
    return state


def upstream_inception() -> Upstream:
    state = Upstream()
    state.decoder(256, (32, 64, 192, 1088, 2080))
    root = "fpn.inception"

    def block(at: str, residual: int, *branches: tuple[tuple[int, ...], ...], first: int = 0) -> None:
        for index, units in enumerate(branches, start=first):
            for place, shape in enumerate(units):
                state.unit(f"{at}.branch{index}" + (f".{place}" if len(units) > 1 else ""), *shape)
        if residual:
            state.conv(f"{at}.conv2d", residual, sum(units[-1][0] for units in branches), 1, 1, bias=True)

    for name, shape in {
        "conv2d_1a": (32, 3, 3, 3),
        "conv2d_2a": (32, 32, 3, 3),
        "conv2d_2b": (64, 32, 3, 3),
        "conv2d_3b": (80, 64, 1, 1),
        "conv2d_4a": (192, 80, 3, 3),
        "conv2d_7b": (1536, 2080, 1, 1),
    }.items():
        state.unit(f"{root}.{name}", *shape)
    block(
        f"{root}.mixed_5b",
        0,
        ((96, 192, 1, 1),),
        ((48, 192, 1, 1), (64, 48, 5, 5)),
        ((64, 192, 1, 1), (96, 64, 3, 3), (96, 96, 3, 3)),
    )
    state.unit(f"{root}.mixed_5b.branch3.1", 64, 192, 1, 1)  # after a pool
    for index in range(10):
        block(
            f"{root}.repeat.{index}",
            320,
            ((32, 320, 1, 1),),
            ((32, 320, 1, 1), (32, 32, 3, 3)),
            ((32, 320, 1, 1), (48, 32, 3, 3), (64, 48, 3, 3)),
        )
    block(f"{root}.mixed_6a", 0, ((384, 320, 3, 3),), ((256, 320, 1, 1), (256, 256, 3, 3), (384, 256, 3, 3)))
    for index in range(20):
        block(
            f"{root}.repeat_1.{index}",
            1088,
            ((192, 1088, 1, 1),),
            ((128, 1088, 1, 1), (160, 128, 1, 7), (192, 160, 7, 1)),
        )
    block(
        f"{root}.mixed_7a",
        0,
        ((256, 1088, 1, 1), (384, 256, 3, 3)),
        ((256, 1088, 1, 1), (288, 256, 3, 3)),
        ((256, 1088, 1, 1), (288, 256, 3, 3), (320, 288, 3, 3)),
    )
    for at in (*(f"repeat_2.{index}" for index in range(9)), "block8"):
        block(f"{root}.{at}", 2080, ((192, 2080, 1, 1),), ((192, 2080, 1, 1), (224, 192, 1, 3), (256, 224, 3, 1)))
    state.conv(f"{root}.last_linear", 1000, 1536, bias=True)
    state.double(f"{root}.conv2d_1a.", "fpn.enc0.")
    for name, parts in INCEPTION_PARTS.items():
        for index, part in enumerate(parts):
            state.double(f"{root}.{part}.", f"fpn.{name}.{index}.")
    return state


def filled(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same layout with values: another one for every tensor, the same where two names share one."""
    values: dict[int, Tensor] = {}
    return {
        name: values.setdefault(id(t), torch.full(t.shape, len(values), dtype=t.dtype)) for name, t in state.items()
    }


LAYOUTS = {MOBILE: (deblurgan_v2, upstream_mobile, 622), INCEPTION: (deblurgan_v2_inception, upstream_inception, 2384)}


@pytest.mark.parametrize("name", LAYOUTS)
def test_upstreams_files_fit_tensor_by_tensor(name: str) -> None:
    system, layout, entries = LAYOUTS[name]
    state = filled(layout())
    assert len(state) == entries
    found = system.from_upstream(state)
    assert found is not None
    config, converted = found
    with torch.device("meta"):
        model = registry.build(name, **config)
    wanted = {key: tensor.shape for key, tensor in model.state_dict().items()}
    assert {key: tensor.shape for key, tensor in converted.items()} == wanted
    assert all(torch.equal(tensor, state[key]) for key, tensor in converted.items())


@pytest.mark.parametrize("system", [deblurgan_v2, deblurgan_v2_inception])
def test_other_weights_are_not_taken_for_upstreams(system: ModuleType) -> None:
    own, other = upstream_mobile(), upstream_inception()
    copy = "fpn.enc2.0.conv.0.weight"
    if system is deblurgan_v2_inception:
        own, other, copy = other, own, "fpn.enc2.0.conv.weight"
    for state in ({}, other, {**own, "extra": torch.zeros(1)}, {k: v for k, v in own.items() if k != copy}):
        assert system.from_upstream(state) is None


def test_copies_that_differ_are_refused() -> None:
    state = filled(upstream_mobile())
    state["fpn.enc3.1.conv.0.weight"] = state["fpn.enc3.1.conv.0.weight"] + 1
    with pytest.raises(WeightsError, match=r"fpn\.enc3\.1\.conv\.0\.weight and fpn\.features\.8\.conv\.0\.weight"):
        deblurgan_v2.from_upstream(state)


def test_the_backbone_takes_no_more_than_upstreams_paddings_can_repair() -> None:
    """Five maps at exactly 1/2 to 1/32 for every multiple of 32 from 128 on; 96 leaves nothing to mirror."""
    with torch.device("meta"):
        fpn = registry.build(INCEPTION, filters=32, blocks=(1, 1, 0)).fpn.eval()
    for side in (128, 160, 192, 736):
        maps = fpn(torch.empty(1, 3, side, 2 * side, device="meta"))
        assert [tuple(x.shape[-2:]) for x in maps] == [(side // 2**k, side // 2 ** (k - 1)) for k in range(1, 6)]
    with pytest.raises(RuntimeError):
        fpn(torch.empty(1, 3, 96, 96, device="meta"))


@pytest.mark.parametrize(
    ("name", "sizes"), [(MOBILE, {}), (INCEPTION, {"filters": 32, "blocks": (1, 1, 0)})], ids=[MOBILE, INCEPTION]
)
@pytest.mark.slow
def test_with_running_statistics_an_output_depends_on_its_surroundings_only(
    name: str, sizes: dict[str, object]
) -> None:
    system = registry.find(name)
    chosen, spec = registry.configure(name, **sizes, statistics="running")
    assert spec.tiling == "exact"
    assert registry.configure(name)[1].tiling == "whole"
    side, margin = (32, 288) if name == MOBILE else (128, 544)  # of these sizes, up to the next multiple of 32
    rgb = torch.rand(1, 3, side, 2 * margin + 96, generator=torch.Generator().manual_seed(1))
    model = randomise(system.build(chosen))
    with torch.no_grad():
        whole, left, right = model(rgb), model(rgb[..., : margin + 64]), model(rgb[..., 64:])
    torch.testing.assert_close(left[..., :64], whole[..., :64], atol=1e-5, rtol=0)
    torch.testing.assert_close(right[..., margin:], whole[..., 64 + margin :], atol=1e-5, rtol=0)


@pytest.mark.slow
def test_receptive_field_without_statistics_of_the_image_is_what_the_spec_says() -> None:
    spec, model = registry.spec_of(MOBILE), randomise(registry.build(MOBILE, statistics="running")).double()
    first, last = 320, 351  # a cell of the grid
    rgb = torch.rand(1, 3, 32, 672, generator=torch.Generator().manual_seed(1)).double().requires_grad_()
    (gradient,) = torch.autograd.grad(model(rgb)[0, :, 0, first : last + 1].sum(), rgb)
    touched = gradient.abs().sum(dim=(0, 1, 2)).nonzero()
    assert max(first - int(touched.min()), int(touched.max()) - last) == spec.receptive_field


def test_statistics_of_the_image_are_those_of_upstreams_training_mode() -> None:
    """A backbone unit equals PyTorch's batch norm in training mode on one image, and evaluation mode when running."""
    rgb = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    theirs = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6())
    nn.init.uniform_(theirs[1].weight, 0.5, 2)
    nn.init.normal_(theirs[1].bias)
    theirs[1].running_mean.fill_(0.1)
    for statistics in ("image", "running"):
        head = registry.build(MOBILE, statistics=statistics).eval().fpn.features[0]
        head.load_state_dict(theirs.state_dict())
        theirs.train(statistics == "image")
        before = {key: tensor.clone() for key, tensor in theirs.state_dict().items()}
        with torch.no_grad():
            torch.testing.assert_close(head(rgb), theirs(rgb))
        theirs.load_state_dict(before)


def test_the_small_backbone_keeps_out_of_half_precision() -> None:
    """In bfloat16 all through, rounding takes a quarter of this untrained network's correction; so it is about 1%."""
    model, rgb = randomise(registry.build(MOBILE), std=0.01), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        correction = model(rgb) - rgb
        with torch.autocast("cpu", torch.bfloat16):
            error = model(rgb).float() - rgb - correction
    assert error.norm() < 0.03 * correction.norm()
