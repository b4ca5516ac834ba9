"""Sun et al.: a network tells the straight motion in patches, neighbours agree on one, and then it is undone.

Sun, Cao, Xu, Ponce. Learning a Convolutional Neural Network for Non-uniform Motion Blur Removal. CVPR 2015
(arXiv:1503.00593), with the steps of the authors' code: 73 labels (lengths 3 to 25 px at six angles, and none), made 361 by
turning the image by 0 to 24 degrees; patches vote for the points that they cover; a Markov random field smooths.

Ours: patches begin at every fourth pixel of the turned image, so that they share their convolutions; angles are compared
doubled, so that 174 and 0 degrees are neighbours (`upstream_compat` compares as the authors' code does); total variation
with unknown edges undoes the motion, theirs was EPLL; the middle grey is subtracted. The order of the authors' labels is not
known, so their file is not recognised, and little is known of their training.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, cast

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.deconvolution import Blur, Lines
from restorekit.models.blind_deconvolution import LearnedBlur
from restorekit.models.config import Count
from restorekit.models.layers import ignore_brightness_, kaiming_init_
from restorekit.models.spec import Spec
from restorekit.runtime.progress import PATIENT, Listener

LENGTHS = tuple(range(3, 26, 2))  # px of a moving label, as MATLAB's fspecial counts them
ANGLES = tuple(range(0, 180, 30))  # degrees, counter-clockwise
LABELS = 1 + len(LENGTHS) * len(ANGLES)
"""73: none, then the angles of every length."""
TURNS = (0, 6, 12, 18, 24)  # degrees clockwise
STRIDE = 4  # px between patches: two poolings
NODE = 3  # px between nodes of the field; every second one is the middle of a patch
FALL = 0.005  # times the squared distance is how fast a patch's vote falls
BEST, MORE = 20, 30  # labels that a node considers: the likeliest, and others spread over all ranks
SWEEPS, DAMPING = 15, 0.5
CONTRAST = 8.0  # gain of the first filters to begin with: differences of neighbours are small
SHARP = 0.5  # score of no motion to begin with; a large one takes Adam thousands of steps to unlearn
PAIRS = 2048  # of neighbours that tell each other at once: their costs stay in the cache

spec = Spec(
    name="sun",
    task="deblur",
    summary="labels of motion in patches, smoothed, which is then undone",
    paper="Sun et al. 2015, arXiv:1503.00593",
    parameters=4_899_017,
    macs_per_pixel=362_360,  # of an image of 256x256, as often as it is turned
    size_multiple=1,
    receptive_field=None,
    tiling="approximate",
    objective="line_label",
    bytes_per_pixel=1500,
    half_precision=False,  # Fourier transforms
    blur="any",
    estimates=True,
)

recipe = {
    "ours": {
        "steps": 20_000,
        "batch": 16,
        "crop": 64,
        "augment": "flips-and-turns",
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "schedule": "cosine",
        "warmup": 200,
        "blur": {
            "shares": {"sharp": 1.0},
            "noise_share": 0.0,
            "jpeg_share": 0.0,
            "length": (0.0, 24.0),
            "angle": (-90.0, 90.0),
        },
    },
}


@dataclass(frozen=True)
class Config:
    """Sizes that rebuild the network, and how patches agree."""

    patch: Literal[30, 34] = 30
    """Pixels of a side; the authors' files have either."""
    widths: tuple[Count, Count, Count] = (96, 256, 1024)
    """Maps of both convolutions and of the layer before the labels."""
    smoothness: Annotated[float, pydantic.Field(ge=0, le=1e9)] = 1e4
    """Weight of the squared distance between neighbouring motions."""
    upstream_compat: bool = False
    """Compare motions as the authors' code does: those at 174 and at 0 degrees count as opposite."""


class Sun(LearnedBlur[Config]):
    """The network and what follows it. RGB (N,3,H,W) in [0,1] to the same."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        one, two, three = config.widths
        last = ((config.patch - 6) // 2 - 4) // 2  # px of a side that both poolings leave of a patch
        self.conv1 = nn.Conv2d(3, one, 7)
        self.conv2 = nn.Conv2d(one, two, 5)
        self.dense = nn.Conv2d(two, three, last)
        self.label = nn.Conv2d(three, LABELS, 1)
        kaiming_init_(self)
        ignore_brightness_(self.conv1, CONTRAST)
        nn.init.zeros_(self.label.weight)
        with torch.no_grad():
            cast(Tensor, self.label.bias)[0] = SHARP  # untrained, nothing moves

    def predict(self, rgb: Tensor) -> Tensor:
        """Scores (N,73,h,w) of the patches that begin at every fourth pixel."""
        x = F.max_pool2d(self.conv1(rgb - 0.5), 2).relu()  # pooled first, there is a quarter of the work left
        x = F.max_pool2d(self.conv2(x), 2).relu()
        scores: Tensor = self.label(self.dense(x).relu())
        return scores

    @torch.no_grad()
    def estimate(self, rgb: Tensor, listener: Listener = PATIENT) -> Blur:
        """Let patches vote for the motion of every third pixel, and neighbours agree."""
        motions = all_motions().to(rgb.device)
        votes = self.confidence(rgb, listener)
        listener.go_on()
        doubled = not self.config.upstream_compat
        field = motions[smooth(votes, motions, self.config.smoothness, doubled, listener)]
        field[votes.sum(0) == 0] = 0  # where no patch lies within the image
        height, width = rgb.shape[-2:]
        rows, columns = (torch.arange(side, device=rgb.device) // NODE for side in (height, width))
        u, v = field[rows[:, None], columns].float().cpu().unbind(-1)
        return Lines(u.contiguous().numpy(), v.contiguous().numpy())

    def confidence(self, rgb: Tensor, listener: Listener = PATIENT) -> Tensor:
        """(361,h,w): how sure the patches around every third pixel are of each motion of `all_motions`."""
        height, width = rgb.shape[-2:]
        nodes = (math.ceil(height / NODE), math.ceil(width / NODE))
        votes = rgb.new_zeros(LABELS + (len(TURNS) - 1) * (LABELS - 1), *nodes)
        sharp, seen = rgb.new_zeros(nodes), rgb.new_zeros(nodes)
        for number, turn in enumerate(TURNS):
            listener.begin(f"turn {number + 1} of {len(TURNS)}")
            said, inside = self._ask(rgb, turn, nodes)
            listener.go_on()
            total, count = _spread(said, self.config.patch), _spread(inside[None], self.config.patch)[0]
            sharp += total[0]
            seen += count
            votes[1 + number :: len(TURNS)] = total[1:] / count.clamp(min=1e-9)
        votes[0] = sharp / seen.clamp(min=1e-9)
        return votes

    def _ask(self, rgb: Tensor, turn: int, nodes: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """What patches around every second node say, (73,h,w), and whether they lie within the turned image (h,w)."""
        patch, (height, width) = self.config.patch, rgb.shape[-2:]
        cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        turned_height = max(patch, math.ceil(height * cosine + width * sine))
        turned_width = max(patch, math.ceil(width * cosine + height * sine))
        y, x = _centred(turned_height, rgb)[:, None], _centred(turned_width, rgb)
        turned = _sample(rgb, cosine * y - sine * x, cosine * x + sine * y)
        chances = self.predict(turned).softmax(1)
        y = (NODE * torch.arange(nodes[0], device=rgb.device) - (height - 1) / 2)[:, None]
        x = NODE * torch.arange(nodes[1], device=rgb.device) - (width - 1) / 2
        reach = patch / 2 * (cosine + sine)
        inside = (y.abs() <= height / 2 - reach) & (x.abs() <= width / 2 - reach)
        inside[1::2], inside[:, 1::2] = False, False
        rows = (cosine * y + sine * x + (turned_height - patch) / 2) / STRIDE
        columns = (cosine * x - sine * y + (turned_width - patch) / 2) / STRIDE
        row, column = (
            at.round().long().clamp(0, most - 1) for at, most in ((rows, chances.shape[2]), (columns, chances.shape[3]))
        )
        return chances[0, :, row, column] * inside, inside.to(rgb)


def all_motions() -> Tensor:
    """(361,2): pixels right and down of no motion and of 12 lengths at 30 angles each."""
    angles = torch.deg2rad(torch.tensor([angle + turn for angle in ANGLES for turn in TURNS], dtype=torch.float32))
    moving = torch.tensor(LENGTHS)[:, None, None] * torch.stack([angles.cos(), -angles.sin()], dim=-1)
    return torch.cat([torch.tensor([[1.0, 0.0]]), moving.flatten(0, 1)])


def smooth(votes: Tensor, motions: Tensor, weight: float, doubled: bool, listener: Listener = PATIENT) -> Tensor:
    """Find the labels (h,w) that minimise minus the votes, plus the weight times squared differences of neighbours.

    Max-product belief propagation on the grid of nodes, with damping.

    Args:
        votes: (K,h,w).
        motions: (K,2) of the labels.
        weight: of the squared distance, px^-2.
        doubled: whether angles are doubled first, so that a motion is its own opposite.
        listener: hears of every sweep, and may end it.
    """
    height, width = votes.shape[1:]
    order = votes.flatten(1).T.argsort(dim=1, descending=True, stable=True)
    more = torch.linspace(BEST, len(votes) - 1, MORE).round().long().to(votes.device)
    order = torch.cat([order[:, :BEST], order[:, more]], dim=1).T.contiguous()  # (50,hw)
    listener.go_on()
    cost = -votes.flatten(1).gather(0, order)
    places = weight**0.5 * motions.double()  # squared differences are costs
    if doubled:
        length, angle = torch.hypot(*places.unbind(1)), 2 * torch.atan2(places[:, 1], places[:, 0])
        places = torch.stack([length * angle.cos(), length * angle.sin()], dim=1)
    x, y = places.to(votes).T[:, order]  # (50,hw) each
    # What each node hears, along columns and along rows, from the node before it and from the one after it.
    heard = torch.zeros(2, 2, *cost.shape, dtype=votes.dtype, device=votes.device)
    for sweep in range(SWEEPS):
        listener.begin(f"sweep {sweep + 1} of {SWEEPS}")
        belief = cost + heard.sum((0, 1))
        for axis, step in enumerate((width, 1)):
            before, after = heard[axis]
            # To tell a neighbour something new, a node leaves out what it heard from there.
            told = _tell(belief - after, belief - before, x, y, step)
            if axis == 1:  # rows end: the first node of the next one is no neighbour
                told[0, :, ::width], told[1, :, width - 1 :: width] = 0, 0
            before.lerp_(told[0], 1 - DAMPING)
            after.lerp_(told[1], 1 - DAMPING)
    belief = cost + heard.sum((0, 1))
    return order.gather(0, belief.argmin(0, keepdim=True)).view(height, width)


def _tell(forward: Tensor, back: Tensor, x: Tensor, y: Tensor, step: int) -> Tensor:
    """What neighbours `step` apart hear from each other: for each label the least that the other pays, less the best.

    Args:
        forward, back: (50,hw), what every node says of its labels to the one after it and to the one before it.
        x, y: (50,hw), where labels lie; the squared distance is what a difference costs.

    Returns:
        (2,50,hw): from the node before, and from the one after.
    """
    heard = torch.zeros(2, *x.shape, dtype=x.dtype, device=x.device)
    last = x.shape[1] - step
    pairs = PAIRS if x.device.type == "cpu" else max(1, last)
    for start in range(0, last, pairs):
        first = slice(start, min(start + pairs, last))
        second = slice(first.start + step, first.stop + step)
        x_first, y_first, said = (values[:, first].contiguous() for values in (x, y, forward))
        cost, other, least = torch.empty_like(said), torch.empty_like(said), torch.full_like(said, torch.inf)
        for label in range(len(x)):  # of the second node, beside all of the first
            torch.sub(x[label, second], x_first, out=cost).mul_(cost)
            torch.sub(y[label, second], y_first, out=other)
            cost.addcmul_(other, other)
            heard[0, label, second] = torch.add(cost, said, out=other).amin(0)
            torch.minimum(least, cost.add_(back[label, second]), out=least)
        heard[1, :, first] = least
    return heard.sub_(heard.amin(1, keepdim=True))


def _spread(said: Tensor, patch: int) -> Tensor:
    """Sum (K,h,w) over the patches that cover each node, the nearer the more."""
    radius, labels = patch // 2 // NODE, len(said)
    fall = torch.exp(-FALL * (NODE * torch.arange(-radius, radius + 1, device=said.device, dtype=said.dtype)) ** 2)
    fall = fall.expand(labels, 1, 1, -1)
    across = F.conv2d(said[None], fall, padding=(0, radius), groups=labels)
    return F.conv2d(across, fall.mT, padding=(radius, 0), groups=labels)[0]


def _centred(side: int, like: Tensor) -> Tensor:
    return torch.arange(side, device=like.device, dtype=like.dtype) - (side - 1) / 2


def _sample(rgb: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """An image at places that are told by their distance from its middle; black beyond its edges."""
    grid = torch.stack([2 * x / rgb.shape[3], 2 * y / rgb.shape[2]], dim=-1)
    return F.grid_sample(rgb, grid[None], align_corners=False)


def build(config: Config) -> Sun:
    """Make the network with freshly initialised weights."""
    return Sun(config)
