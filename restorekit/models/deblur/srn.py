"""SRN-DeblurNet: one encoder-decoder applied at three scales, each starting from the result of the coarser one.

Tao et al., Scale-recurrent Network for Deep Image Deblurring, CVPR 2018 (arXiv:1802.01770), Fig. 3, and its TensorFlow code.
Convolutions of stride 2 pad as TensorFlow's SAME does (one pixel before, two after), and images are resized as its
`resize_images` did: shrinking keeps every second or fourth pixel, doubling puts the mean between two.

The default is the authors' `lstm` model, which the published scores are of: a convolutional LSTM at the bottleneck hands its
state from scale to scale, and one-channel networks restore R, G and B each on its own (the authors train them on luma, we on
all three planes). `lstm=no` is their `gray` model, `lstm=no planes=together` their `color` model. In training only the
gradient of `lstm` is clipped, at a norm of 3.

The authors' weights are for TensorFlow 1; their variables by name, as arrays, are understood. The weights that exist for
PyTorch are of iwtw's port, whose layers differ; `form` "port" is that network.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.config import Count
from restorekit.models.layers import ResidualBlock, clamp_output, pad_to_multiple, relu, upsample2x, upsample2x_aligned
from restorekit.models.spec import Spec

SCALES = (4, 2, 1)  # by how much the image is shrunk
RADII = {("official", False): 1277, ("official", True): 1309, ("port", False): 1287, ("port", True): 1347}
"""Of the receptive field in input pixels, by `form` and `lstm`."""

spec = Spec(
    name="srn",
    task="deblur",
    summary="scale-recurrent network, 3 scales",
    paper="Tao et al. 2018, arXiv:1802.01770",
    parameters=8_056_609,
    macs_per_pixel=4_093_866,
    size_multiple=16,
    receptive_field=1309,
    tiling="approximate",
    overlap=128,
    objective="pyramid",
    bytes_per_pixel=3500,
)

recipe = {
    "printed": {
        "steps": 262_000,  # 2,000 epochs of 131 batches
        "batch": 16,
        "crop": 256,
        "learning_rate": 1e-4,
        "schedule": "exponential",
        "floor": 1e-6,
        "optimizer": "adam",
        "betas": (0.9, 0.999),
        "clip_only": "lstm.*",
        "loss_weights": {"mse": 1.0, "adversarial": 0.0},
    },
    "code": {"gradient_clip": 3.0, "clip_by": "norm"},
    "ours": {"augment": "flips-and-turns"},
}  # The code's rate falls to zero: a linear schedule with the power 0.3.


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network."""

    channels: Count = 32
    lstm: bool = True
    """Whether a convolutional LSTM at the bottleneck passes its state from scale to scale."""
    planes: Literal["separate", "together"] = "separate"
    """Whether R, G and B are images of one channel each, or one of three."""
    form: Literal["official", "port"] = "official"
    """"port": the network of github.com/iwtw/SRN-DeblurNet. Range -1..1, symmetric padding, transposed convolutions and LSTM
    of 5x5, antialiased shrinking, half-pixel doubling, and no estimate at all before the coarsest scale."""


class StridedConv(nn.Conv2d):
    """5x5 convolution of stride 2 with TensorFlow's SAME padding."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 5, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,H,W) to (N,outputs,H/2,W/2)."""
        return super().forward(F.pad(x, (1, 2, 1, 2)))


class ConvLSTM(nn.Module):
    """LSTM whose gates are one convolution (Shi et al., arXiv:1506.04214, without peepholes)."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(2 * channels, 4 * channels, kernel, padding=kernel // 2)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        """Features (N,C,H,W) and the last (hidden, cell) state to the new one."""
        hidden, cell = state or (torch.zeros_like(x), torch.zeros_like(x))
        enter, candidate, forget, leave = self.gates(torch.cat([x, hidden], dim=1)).chunk(4, dim=1)
        cell = cell * torch.sigmoid(forget + 1) + torch.sigmoid(enter) * torch.tanh(
            candidate
        )  # forgets little at first
        return torch.sigmoid(leave) * torch.tanh(cell), cell


def _blocks(channels: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels, 5, relu) for _ in range(3)))


class SRN(nn.Module):
    """The network. Input and output are RGB (N,3,H,W) in [0,1], any H and W."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n, port = config.channels, config.form == "port"

        def down(inputs: int, outputs: int) -> nn.Module:
            return nn.Conv2d(inputs, outputs, 5, 2, padding=2) if port else StridedConv(inputs, outputs)

        def up(inputs: int, outputs: int) -> nn.Module:
            kernel, padding = (5, 2) if port else (4, 1)
            return nn.ConvTranspose2d(inputs, outputs, kernel, 2, padding, output_padding=int(port))

        self.port = port
        self.channels = 3 if config.planes == "together" else 1
        self.enter = nn.Sequential(nn.Conv2d(2 * self.channels, n, 5, padding=2), relu(), _blocks(n))
        self.down1 = nn.Sequential(down(n, 2 * n), relu(), _blocks(2 * n))
        self.down2 = nn.Sequential(down(2 * n, 4 * n), relu(), _blocks(4 * n))
        self.lstm = ConvLSTM(4 * n, kernel=5 if port else 3) if config.lstm else None
        self.up2 = nn.Sequential(_blocks(4 * n), up(4 * n, 2 * n), relu())
        self.up1 = nn.Sequential(_blocks(2 * n), up(2 * n, n), relu())
        self.leave = nn.Sequential(_blocks(n), nn.Conv2d(n, self.channels, 5, padding=2))

    def reduce(self, rgb: Tensor, factor: int) -> Tensor:
        """Downscale a batch, as the network does with its input."""
        if not self.port:
            return rgb[..., ::factor, ::factor]
        while factor > 1:
            rgb = F.interpolate(rgb, scale_factor=0.5, mode="bilinear", antialias=True)
            factor //= 2
        return rgb

    def enlarge(self, x: Tensor) -> Tensor:
        """Enlarge a batch by two."""
        return upsample2x(x) if self.port else upsample2x_aligned(x)

    def pyramid(self, rgb: Tensor) -> list[Tensor]:
        """Restored images from the coarsest scale to the full one; H and W are multiples of 16."""
        planes = rgb.reshape(-1, self.channels, *rgb.shape[-2:])  # (3N,1,H,W) where they are separate
        image = planes * 2 - 1 if self.port else planes
        restored: list[Tensor] = []
        state: tuple[Tensor, Tensor] | None = None
        for scale in SCALES:
            blurred = self.reduce(image, scale)
            before = torch.zeros_like(blurred) if self.port else blurred
            if restored:
                # The gradient stops between scales, as in the official code.
                before = self.enlarge(restored[-1].detach() if self.training else restored[-1])
            fine = self.enter(torch.cat([blurred, before], dim=1))
            middle = self.down1(fine)
            low = self.down2(middle)
            if self.lstm is not None:
                state = self.lstm(low, None if state is None else (self.enlarge(state[0]), self.enlarge(state[1])))
                low = state[0]
            restored.append(self.leave(self.up1(self.up2(low) + middle) + fine))
        images = [image.reshape(-1, 3, *image.shape[-2:]) for image in restored]
        return [(image + 1) / 2 for image in images] if self.port else images

    def forward(self, rgb: Tensor) -> Tensor:
        """(N,3,H,W) in [0,1] to the same; any H and W of at least 1."""
        height, width = rgb.shape[-2:]
        restored = self.pyramid(pad_to_multiple(rgb, spec.size_multiple))[-1]
        return clamp_output(restored[..., :height, :width], self.training)


def describe(config: Config) -> Spec:
    """Facts about one configuration."""
    return replace(spec, receptive_field=RADII[config.form, config.lstm])


def build(config: Config) -> SRN:
    """Make the network with freshly initialised weights."""
    return SRN(config)


def from_upstream(state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Recognise the authors' variables, or the weights of iwtw's port."""
    if "inblock.conv.0.weight" in state and "convlstm.conv.weight" in state:
        return _from_port(state)
    if "g_net/enc1_1/weights" in state:
        return _from_tensorflow(state)
    return None


def _from_tensorflow(state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]]:
    """Convert variables like `g_net/enc1_2/conv1/weights`, whose kernels are (height, width, inputs, outputs)."""
    stages = {"enc1": "enter", "enc2": "down1", "enc3": "down2", "dec3": "up2", "dec2": "up1", "dec1": "leave"}
    converted: dict[str, Tensor] = {}
    for key, tensor in state.items():
        kind = "weight" if key.endswith("/weights") else "bias"
        if tensor.dim() == 4:
            tensor = tensor.permute(
                3, 2, 0, 1
            )  # a transposed one's last two are outputs and inputs, as PyTorch wants it
        if match := re.fullmatch(r"g_net/enc(\d)_1/\w+", key):
            name = f"{stages[f'enc{match[1]}']}.0"
        elif match := re.fullmatch(r"g_net/enc(\d)_([234])/conv([12])/\w+", key):
            name = f"{stages[f'enc{match[1]}']}.2.{int(match[2]) - 2}.body.{2 * int(match[3]) - 2}"
        elif match := re.fullmatch(r"g_net/dec(\d)_([123])/conv([12])/\w+", key):
            name = f"{stages[f'dec{match[1]}']}.0.{3 - int(match[2])}.body.{2 * int(match[3]) - 2}"
        elif match := re.fullmatch(r"g_net/dec([12])_4/\w+", key):
            name = f"up{match[1]}.1"
        elif key.startswith("g_net/dec1_0/"):
            name = "leave.1"
        elif key.startswith("g_net/convLSTM/LSTM_conv/"):
            name = "lstm.gates"
        else:
            name, kind = key, ""
        converted[f"{name}.{kind}" if kind else name] = tensor
    inputs, channels = converted["enter.0.weight"].shape[1], converted["enter.0.weight"].shape[0]
    options: dict[str, object] = {"channels": channels, "lstm": "lstm.gates.weight" in converted}
    return {**options, "planes": "together" if inputs == 6 else "separate"}, converted


def _from_port(state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]]:
    """Convert names like `eblock1.resblock_stack.0.conv1.0.weight`.

    The LSTM's gates come in another order there (in, forget, out, candidate), and nothing is added to the forget gate.
    """
    places = {"inblock": "enter", "eblock1": "down1", "eblock2": "down2"}
    places |= {"dblock1": "up2", "dblock2": "up1", "outblock": "leave"}
    converted: dict[str, Tensor] = {}
    for key, tensor in state.items():
        block, _, rest = key.partition(".")
        first = block in ("inblock", "eblock1", "eblock2")  # there the convolution comes before the blocks
        if match := re.fullmatch(r"resblock_stack\.(\d+)\.conv(\d)\.0\.(\w+)", rest):
            inside = f"{2 if first else 0}.{match[1]}.body.{2 * int(match[2]) - 2}.{match[3]}"
        elif match := re.fullmatch(r"(?:conv|deconv)\.0\.(\w+)", rest):
            inside = f"{0 if first else 1}.{match[1]}"
        elif block == "convlstm":
            enter, forget, leave, candidate = tensor.chunk(4)
            part = rest.removeprefix("conv.")
            converted[f"lstm.gates.{part}"] = torch.cat([enter, candidate, forget - float(part == "bias"), leave])
            continue
        else:
            converted[key] = tensor
            continue
        converted[f"{places[block]}.{inside}" if block in places else key] = tensor
    channels = state["inblock.conv.0.weight"].shape[0]
    return {"form": "port", "lstm": True, "planes": "together", "channels": channels}, converted
