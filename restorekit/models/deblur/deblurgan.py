"""DeblurGAN: a generator with nine residual blocks and instance normalisation, trained against a Wasserstein critic.

Kupyn et al., DeblurGAN: Blind Motion Deblurring Using Conditional Adversarial Networks, CVPR 2018 (arXiv:1711.07064),
Fig. 3.

Every residual block has two convolutions, as the paper says and as the published weights have; an operator-precedence
slip in today's upstream file leaves only one. Upstream tests in training mode, so instance normalisation uses the
statistics of the image itself; the running ones in its files are not used.
"""

import re
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from restorekit.models.config import Count, Dropout
from restorekit.models.image_norm import ImageNorm
from restorekit.models.layers import clamp_output, pad_to_multiple, relu, zero_init_
from restorekit.models.spec import Spec

spec = Spec(
    name="deblurgan",
    task="deblur",
    summary="conditional GAN, 9 residual blocks, instance normalisation",
    paper="Kupyn et al. 2018, arXiv:1711.07064",
    parameters=11_378_179,
    macs_per_pixel=756_096,
    size_multiple=4,
    receptive_field=83,
    tiling="whole",
    objective="deblurgan",
    bytes_per_pixel=1700,
)

recipe = {
    "printed": {
        "steps": 600_000,  # 300 epochs of 2,000 pairs
        "batch": 1,
        "crop": 256,
        "learning_rate": 1e-4,
        "schedule": "linear",
        "decay_from": 300_000,  # epoch 150
        "floor": 0.0,
        "optimizer": "adam",
        "loss_weights": {"perceptual": 100.0, "adversarial": 1.0, "gradient_penalty": 10.0},
        "objective": {"discriminator_steps": 5, "layer": "conv3_3"},
    },
    "code": {"betas": (0.5, 0.999), "augment": "flips", "objective": {"generator_steps": 1}},
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    channels: Count = 64
    blocks: Count = 9
    dropout: Dropout = 0.5


def _reflected(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(inputs, outputs, kernel)]


class Block(nn.Module):
    """Reflection pad, 3x3, norm, ReLU, dropout, reflection pad, 3x3, norm; plus the input."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_reflected(channels, channels, 3),
            ImageNorm(channels),
            relu(),
            nn.Dropout(dropout),
            *_reflected(channels, channels, 3),
            ImageNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,H,W) to the same shape."""
        return cast(Tensor, x + self.body(x))


class DeblurGAN(nn.Module):
    """The generator. Input and output are RGB (N,3,H,W) in [0,1], any H and W."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n = config.channels
        self.encoder = nn.Sequential(
            *_reflected(3, n, 7), ImageNorm(n), relu(),
            nn.Conv2d(n, 2 * n, 3, 2, 1), ImageNorm(2 * n), relu(),
            nn.Conv2d(2 * n, 4 * n, 3, 2, 1), ImageNorm(4 * n), relu(),
        )  # fmt: skip
        self.blocks = nn.Sequential(*(Block(4 * n, config.dropout) for _ in range(config.blocks)))
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(4 * n, 2 * n, 3, 2, 1, output_padding=1), ImageNorm(2 * n), relu(),
            nn.ConvTranspose2d(2 * n, n, 3, 2, 1, output_padding=1), ImageNorm(n), relu(),
        )  # fmt: skip
        pad, last = _reflected(n, 3, 7)
        self.out = nn.Sequential(pad, zero_init_(cast(nn.Conv2d, last)))

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to the same; any H and W of at least 1."""
        height, width = rgb.shape[-2:]
        padded = pad_to_multiple(rgb, spec.size_multiple, least=8)  # reflection needs two pixels at the coarsest level
        correction = torch.tanh(self.out(self.decoder(self.blocks(self.encoder(padded * 2 - 1)))))
        # The paper adds on -1..1, where everything is twice as large.
        return clamp_output(rgb + correction[..., :height, :width] / 2, self.training)


def describe(config: Config) -> Spec:
    """Facts about one configuration: a block reaches 8 pixels, encoder and decoder 11."""
    return replace(spec, receptive_field=11 + 8 * config.blocks)


def build(config: Config) -> DeblurGAN:
    """Make the network with freshly initialised weights."""
    return DeblurGAN(config)


def from_upstream(state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Recognise upstream's `latest_net_G.pth` (`model.N...`): encoder 1-8, blocks from 10 on, decoder, output.

    Where no dropout was built in, a block's second convolution is its fifth layer instead of its sixth.
    """
    if not any(re.fullmatch(r"model\.10\.conv_block\.1\.weight", key) for key in state):
        return None
    blocks = 1 + max(int(match[1]) for key in state if (match := re.match(r"model\.(\d+)\.conv_block\.", key))) - 10
    second = 6 if "model.10.conv_block.6.weight" in state else 5
    places = {at: f"encoder.{at}" for at in range(9)}
    places |= {10 + blocks + at: f"decoder.{at}" for at in range(6)} | {10 + blocks + 7: "out.1"}
    inside = {1: 1, 2: 2, second: 6, second + 1: 7}
    converted: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if match := re.fullmatch(r"model\.(\d+)\.conv_block\.(\d+)\.(\w+)", key):
            place = inside.get(int(match[2]), int(match[2]))
            converted[f"blocks.{int(match[1]) - 10}.body.{place}.{match[3]}"] = tensor
        elif (match := re.fullmatch(r"model\.(\d+)\.(\w+)", key)) and int(match[1]) in places:
            converted[f"{places[int(match[1])]}.{match[2]}"] = tensor
        else:
            converted[key] = tensor
    for key in [key for key in converted if key.endswith("running_mean")]:  # not counted before PyTorch 0.4.1
        converted.setdefault(key.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    channels = converted["encoder.1.weight"].shape[0] if "encoder.1.weight" in converted else 64
    return {"channels": channels, "blocks": blocks}, converted
