"""Gong et al.: a fully convolutional network finds the motion of every pixel, as two labels; then it is undone.

Gong, Yang, Liu, Zhang, Reid, Shen, van den Hengel, Shi. From Motion Blur to Motion Flow: a Deep Learning Solution for
Removing Heterogeneous Motion Blur. CVPR 2017 (arXiv:1612.02583). The layers are those of the authors' Caffe network; all
convolutions but the first are unpadded, and two earlier maps join the scores on their way back to full size. 39 labels tell
u, 0 to 38 px to the right, and 73 tell v, 36 px up to 36 px down: a motion and its opposite are the same blur.

Ours: total variation with unknown edges undoes the motion, theirs was EPLL; images too small for the network are continued;
`decode=mean` averages over the labels beside the best one. Nothing is known of their optimiser.
"""

from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.deconvolution import Blur, Lines
from restorekit.models.blind_deconvolution import LearnedBlur
from restorekit.models.config import Count
from restorekit.models.layers import ignore_brightness_, kaiming_init_, without_autocast
from restorekit.models.spec import Spec
from restorekit.runtime.progress import PATIENT, Listener

RIGHT, DOWN = 39, 73
"""Labels of u, from 0, and of v, about 0."""
MEAN = (93.96, 113.53, 111.64)  # of R, G and B, in 0..255
FRAME = 30  # px of padding around the image
SMALLEST = 11  # px of a side that leaves the last convolution something to see
JOIN_3, JOIN_2 = 1e-2, 1e-4  # times the maps behind the third and second pooling
CONTRAST = 8 / 128  # gain of the first filters to begin with: differences of neighbours are small for values up to 255
NEAR = 2  # labels on both sides of the best one that `decode=mean` counts

spec = Spec(
    name="gong",
    task="deblur",
    summary="labels of every pixel's motion, which is then undone",
    paper="Gong et al. 2017, arXiv:1612.02583",
    parameters=9_089_488,
    macs_per_pixel=399_726,  # of an image of 256x256; the padding counts less in larger ones, in the end 299,902
    size_multiple=1,
    receptive_field=None,
    tiling="approximate",
    objective="motion_field",
    bytes_per_pixel=1500,
    half_precision=False,  # Fourier transforms
    blur="any",
    estimates=True,
)

recipe = {
    "code": {  # of the authors' generator of blurred images
        "objective": {
            "translation": 27.0,
            "acceleration": 0.3,
            "spread": 2.571,  # pi / 70
            "turn": 5e-3,
            "centre": 15.0,
            "sharp_share": 1 / 51,
        },
    },
    "ours": {
        "steps": 100_000,
        "batch": 8,
        "crop": 294,
        "augment": "flips-and-turns",
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "schedule": "cosine",
        "warmup": 200,
        # What is added from earlier maps is scaled down by as much; the first filters see values up to 255.
        "rate_factors": {"conv1.weight": 0.01, "score_pool3.weight": 100.0, "score_pool2.weight": 10_000.0},
        "blur": {
            "shares": {"sharp": 1.0},
            "noise_share": 0.0,
            "jpeg_share": 0.0,
            "length": (0.0, 25.0),
            "angle": (-90.0, 90.0),
        },
    },
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network, and how its labels are read."""

    widths: tuple[Count, Count, Count, Count, Count] = (96, 256, 512, 512, 1024)
    """Maps of the five convolutions."""
    decode: Literal["argmax", "mean"] = "argmax"
    """The best label, or the mean of those near it by their probability."""


class Gong(LearnedBlur[Config]):
    """The network and what follows it. RGB (N,3,H,W) in [0,1] to the same."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        one, two, three, four, five = config.widths
        self.conv1 = nn.Conv2d(3, one, 7, padding=FRAME)
        self.conv2 = nn.Conv2d(one, two, 5)
        self.conv3 = nn.Conv2d(two, three, 3)
        self.conv4 = nn.Conv2d(three, four, 3)
        self.conv5 = nn.Conv2d(four, five, 3)
        self.score = nn.Conv2d(five, RIGHT + DOWN, 1)
        self.score_pool3 = nn.Conv2d(three, RIGHT + DOWN, 1)
        self.score_pool2 = nn.Conv2d(two, RIGHT + DOWN, 1)
        kaiming_init_(self)
        ignore_brightness_(self.conv1, CONTRAST)
        with torch.no_grad():
            for head in (self.score, self.score_pool3, self.score_pool2):
                nn.init.zeros_(head.weight)
            nn.init.zeros_(cast(Tensor, self.score.bias)).index_fill_(0, torch.tensor([0, RIGHT + DOWN // 2]), 1)
            # Untrained, nothing moves.

    def predict(self, rgb: Tensor) -> Tensor:
        """Scores (N,112,H,W) of the labels: 39 of u, then 73 of v."""
        height, width = rgb.shape[-2:]
        padded = F.pad(rgb, (0, max(0, SMALLEST - width), 0, max(0, SMALLEST - height)), mode="replicate")
        x = (255 * padded - rgb.new_tensor(MEAN)[:, None, None]).flip(1)  # BGR
        with without_autocast(x):  # bfloat16 tells 255 grey levels apart just so
            x = _pool(self.conv1(x).relu())
        pool2 = _pool(self.conv2(x).relu())
        pool3 = _pool(self.conv3(pool2).relu())
        x = _pool(self.conv4(pool3).relu())
        x = _enlarge(self.score(self.conv5(x).relu()), 2)
        x = _enlarge(x + _cut(self.score_pool3(JOIN_3 * pool3), 2, x), 2)
        x = _enlarge(x + _cut(self.score_pool2(JOIN_2 * pool2), 4, x), 4)
        return _cut(x, 9, rgb)

    @torch.no_grad()
    def estimate(self, rgb: Tensor, listener: Listener = PATIENT) -> Blur:
        """Read the labels of every pixel."""
        scores = self.predict(rgb)[0].float()
        u, v = self._decode(scores[:RIGHT]), self._decode(scores[RIGHT:]) - DOWN // 2
        return Lines(u.cpu().numpy(), v.cpu().numpy())

    def _decode(self, scores: Tensor) -> Tensor:
        """(K,H,W) to the label of each pixel (H,W), a whole number or not."""
        best = scores.argmax(0)
        if self.config.decode == "argmax":
            return best.float()
        labels = torch.arange(len(scores), device=scores.device)[:, None, None]
        near = scores.masked_fill((labels - best).abs() > NEAR, -torch.inf).softmax(0)
        return (labels * near).sum(0)


def _pool(x: Tensor) -> Tensor:
    """The largest of 2x2; what remains at an odd edge counts, as in Caffe."""
    return F.max_pool2d(x, 2, ceil_mode=True)


def _enlarge(x: Tensor, factor: int) -> Tensor:
    """Caffe's fixed bilinear deconvolution, without cutting its edges: n pixels become (n + 1) factor."""
    grown = F.interpolate(F.pad(x, (1, 1, 1, 1)), scale_factor=factor, mode="bilinear")
    edge = slice(factor // 2, -factor // 2)
    return grown[..., edge, edge]


def _cut(x: Tensor, start: int, like: Tensor) -> Tensor:
    return x[..., start : start + like.shape[-2], start : start + like.shape[-1]]


def build(config: Config) -> Gong:
    """Make the network with freshly initialised weights."""
    return Gong(config)


FIXED = {(RIGHT + DOWN, channels, side, side) for channels in (1, RIGHT + DOWN) for side in (4, 8)}
"""Shapes of the bilinear deconvolutions that the authors' file holds too."""


def from_upstream(state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Recognise the authors' Caffe network (fcn_blur2mflow), converted by the names of its layers."""
    names = {f"conv{number}": f"conv{number}" for number in range(1, 6)}
    names |= {"score_fr": "score", "score_pool3": "score_pool3", "score_pool2": "score_pool2"}
    expected = {f"{layer}.{kind}": f"{name}.{kind}" for layer, name in names.items() for kind in ("weight", "bias")}
    rest = state.keys() - expected.keys()
    if expected.keys() - state.keys() or any(tuple(state[key].shape) not in FIXED for key in rest):
        return None
    widths = tuple(state[f"conv{number}.weight"].shape[0] for number in range(1, 6))
    return {"widths": widths}, {ours: state[theirs] for theirs, ours in expected.items()}
