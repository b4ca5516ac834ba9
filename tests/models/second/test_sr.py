"""Second writings of the super-resolution networks: plain functions of the weights, from the papers' figures and sizes."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from helpers import noise
from plain_layers import Layers, join, leaky, nearest, rrdb, spsr, with_random_weights
from torch import Tensor

from restorekit.imaging.resize import resize
from restorekit.models import registry


def cubic(x: Tensor, scale: int) -> Tensor:
    """MATLAB's bicubic enlargement of a batch of one."""
    height, width = x.shape[-2:]
    large = resize(x[0].permute(1, 2, 0).numpy(), (scale * height, scale * width), kernel="cubic", border="symmetric")
    return torch.from_numpy(large).permute(2, 0, 1)[None].to(x)


def luma(rgb: Tensor) -> Tensor:
    """BT.601 with range 16..235."""
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=rgb.dtype) / 255
    return 16 / 255 + (weights.view(1, 3, 1, 1) * rgb).sum(1, keepdim=True)


def with_luma(rgb: Tensor, scale: int, restored: Tensor) -> Tensor:
    """RGB of a restored luma with the chroma of the enlarged image: to YCbCr and back through the matrices."""
    forward = torch.tensor(
        [[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]], dtype=rgb.dtype
    )
    offset = torch.tensor([16.0, 128.0, 128.0], dtype=rgb.dtype).view(1, 3, 1, 1) / 255
    ycc = torch.einsum("ij,njhw->nihw", forward / 255, cubic(rgb, scale)) + offset
    ycc = join(restored, ycc[:, 1:])
    return torch.einsum("ij,njhw->nihw", torch.linalg.inv(forward / 255), ycc - offset)


def shuffled(x: Tensor, scale: int) -> Tensor:
    """Map c*s*s + s*y + x of a pixel becomes row y and column x of its s x s pixels."""
    number, maps, height, width = x.shape
    x = x.reshape(number, maps // scale**2, scale, scale, height, width).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(number, maps // scale**2, scale * height, scale * width)


def compact(layers: Layers, rgb: Tensor) -> Tensor:
    x = rgb
    for index in range(0, 34, 2):  # head and sixteen of the body
        x = layers.prelu(layers.conv(x, f"body.{index}"), f"body.{index + 1}")
    return nearest(rgb, 4) + shuffled(layers.conv(x, "body.34"), 4)


def espcn(layers: Layers, rgb: Tensor) -> Tensor:
    x = layers.conv(luma(rgb), "features.0").tanh()
    x = layers.conv(x, "features.2").tanh()
    return with_luma(rgb, 3, shuffled(layers.conv(x, "subpixels"), 3))


def srcnn(layers: Layers, rgb: Tensor) -> Tensor:
    def conv(x: Tensor, name: str, side: int) -> Tensor:
        around = (side // 2,) * 4
        return F.conv2d(F.pad(x, around, "replicate"), layers.state[f"{name}.weight"], layers.state[f"{name}.bias"])

    x = conv(luma(cubic(rgb, 2)), "patches", 9).relu()
    x = conv(x, "mapping", 5).relu()
    return with_luma(rgb, 2, conv(x, "reconstruction", 5))


def vdsr(layers: Layers, rgb: Tensor) -> Tensor:
    x = y = luma(cubic(rgb, 2))
    for index in range(0, 38, 2):
        x = layers.conv(x, f"body.{index}").relu()
    return with_luma(rgb, 2, y + layers.conv(x, "last"))


def drrn(layers: Layers, rgb: Tensor) -> Tensor:
    """B1U25: 1 + 2 x 25 + 1 = 52 layers."""

    def activated(x: Tensor, name: str) -> Tensor:
        return layers.norm(x, f"{name}.0").relu()

    y = luma(cubic(rgb, 2))
    h = start = layers.conv(activated(y, "blocks.0.enter.0"), "blocks.0.enter.1")
    for unit in range(25):
        h = layers.conv(activated(h, f"blocks.0.before_first.{unit}"), "blocks.0.first")
        h = start + layers.conv(activated(h, f"blocks.0.before_second.{unit}"), "blocks.0.second")
    return with_luma(rgb, 2, y + layers.conv(activated(h, "leave.0"), "leave.1"))


def dsrn(layers: Layers, rgb: Tensor) -> Tensor:
    """Seven states, all links with a delay of one; the large state is absent at first."""

    def twice(x: Tensor, name: str) -> Tensor:
        return layers.conv(layers.conv(x, f"{name}.0").relu(), f"{name}.2")

    small = [layers.conv(layers.conv(rgb, "enter.0").relu(), "enter.2").relu()]
    large: list[Tensor | None] = [None]
    for t in range(1, 7):
        before_small, before_large = small[t - 1], large[t - 1]
        heard = before_small + twice(before_small, "small")
        raised = layers.transposed(before_small, "up", stride=2)
        if before_large is not None:
            heard = heard + F.avg_pool2d(before_large, 2)
            raised = raised + before_large + twice(before_large, "large")
        small.append(heard.relu())
        large.append(raised.relu())
    states = torch.stack([state for state in large if state is not None])
    return cubic(rgb, 2) + layers.conv(states.mean(0), "leave")


def residual_network(layers: Layers, rgb: Tensor, batch_norm: bool, scale: int) -> tuple[Tensor, Tensor]:
    """Head and sixteen blocks as SRGAN and SRGAN-EM have them, and the stages behind the long skip."""
    first, norm, last = ("0", "1", "3") if batch_norm else ("0", "", "2")

    def block(x: Tensor, name: str) -> Tensor:
        y = layers.conv(x, f"{name}.body.{first}")
        y = layers.norm(y, f"{name}.body.{norm}") if batch_norm else y
        y = layers.prelu(y, f"{name}.body.{2 if batch_norm else 1}")
        y = layers.conv(y, f"{name}.body.{last}")
        return x + (layers.norm(y, f"{name}.body.4") if batch_norm else y)

    x = head = layers.prelu(layers.conv(rgb, "head.0"), "head.1")
    for index in range(16):
        x = block(x, f"blocks.{index}")
    x = layers.norm(layers.conv(x, "trunk.0"), "trunk.1") if batch_norm else layers.conv(x, "trunk")
    x = x + head
    for index, factor in enumerate({2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}[scale]):
        x = layers.prelu(shuffled(layers.conv(x, f"up.{index}.0"), factor), f"up.{index}.2")
    return x, layers.conv(x, "out")


def srgan_em(layers: Layers, rgb: Tensor, batch_norm: bool = False) -> Tensor:
    return (residual_network(layers, 2 * rgb - 1, batch_norm, 4)[1].tanh() + 1) / 2


def srresnet(layers: Layers, rgb: Tensor, scale: int = 4) -> Tensor:
    return (residual_network(layers, rgb, True, scale)[1] + 1) / 2


def esrgan(layers: Layers, rgb: Tensor, unshuffle: int = 1) -> Tensor:
    height, width = (side // unshuffle for side in rgb.shape[-2:])
    x = rgb.reshape(1, 3, height, unshuffle, width, unshuffle).permute(0, 1, 3, 5, 2, 4)
    x = head = layers.conv(x.reshape(1, 3 * unshuffle**2, height, width), "head")
    for block in range(23):
        x = rrdb(layers, x, f"blocks.{block}")
    x = layers.conv(x, "trunk") + head
    for stage in (0, 1):
        x = leaky(layers.conv(nearest(x, 2), f"up.{stage}.conv"))
    return layers.conv(leaky(layers.conv(x, "last.0")), "last.2")


Writing = Callable[[Layers, Tensor], Tensor]

THIN = {"channels": 4, "growth": 3}
WRITINGS: list[tuple[str, dict[str, object], Writing]] = [
    ("compact", {"channels": 4}, compact),
    ("espcn", {"scale": 3}, espcn),
    ("srcnn", {"scale": 2}, srcnn),
    ("vdsr", {"scale": 2, "channels": 4}, vdsr),
    ("drrn", {"scale": 2, "channels": 4}, drrn),
    ("dsrn", {"scale": 2, "channels": 4}, dsrn),
    ("srgan-em", {"channels": 4}, srgan_em),
    ("srgan-em", {"channels": 4, "batch_norm": True}, lambda layers, rgb: srgan_em(layers, rgb, True)),
    ("srresnet", {"channels": 4, "slopes": "channel"}, srresnet),
    ("srresnet", {"channels": 4, "scale": 3}, lambda layers, rgb: srresnet(layers, rgb, 3)),
    ("esrgan", THIN, esrgan),
    ("esrgan", {**THIN, "scale": 2}, lambda layers, rgb: esrgan(layers, rgb, 2)),
    ("spsr", THIN, lambda layers, rgb: spsr(layers, rgb, (2, 2))[0]),
    ("spsr", {**THIN, "scale": 3}, lambda layers, rgb: spsr(layers, rgb, (3,))[0]),
]
"""System, options, and what it should do."""


@pytest.mark.parametrize(
    ("name", "options", "writing"), WRITINGS, ids=[f"{name}-{at}" for at, (name, *_) in enumerate(WRITINGS)]
)
def test_a_network_is_what_its_paper_draws(name: str, options: dict[str, object], writing: Writing) -> None:
    model = with_random_weights(registry.build(name, **options))
    rgb = noise(1, 3, 8, 10).double()
    with torch.no_grad():
        restored, expected = model(rgb), writing(Layers(model.state_dict()), rgb)
    assert 0.02 < expected.std() < 100
    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=1e-6)


def test_every_super_resolution_system_is_written_twice() -> None:
    systems = {name for name in registry.names() if registry.spec_of(name).task == "sr"}
    assert systems == {name for name, *_ in WRITINGS} | {"bicubic"}  # that is `imaging.resize`, tested there
