"""What a system must say about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Task = Literal["deblur", "sr"]
Tiling = Literal["exact", "approximate", "whole"]
Told = Literal["none", "kernel", "any"]


@dataclass(frozen=True)
class Spec:
    """Facts of one system in one configuration. The tests measure them; none is taken on trust."""

    name: str
    """Name on the command line; the file is the same with underscores."""
    task: Task
    summary: str
    """One line for tables."""
    paper: str
    """Citation with DOI or arXiv id where there is one."""
    parameters: int
    macs_per_pixel: int
    """Multiply-accumulates of all convolutions for one full-resolution input pixel."""
    size_multiple: int
    """The network works on a grid of this many pixels. Images of other sizes are padded inside; tiles must start on it."""
    receptive_field: int | None
    """Radius of the receptive field in input pixels: what a cell of `size_multiple` pixels becomes depends on no input pixel
    farther from the cell. None: it depends on the whole image. Where `tiling` is "whole" this is the radius once the
    statistics are fixed."""
    tiling: Tiling
    """exact: tiles with an overlap of `receptive_field` equal the whole image. approximate: the receptive field is too large
    for that, tiles get `overlap`. whole: the network normalises by statistics of the whole image (see `ImageNorm`)."""
    objective: str
    """Name of the training objective (a file in `training/objectives/`)."""
    bytes_per_pixel: int
    """Peak activation memory of float32 inference for one input pixel, rounded up; sizes the tiles."""
    half_precision: bool = True
    """Whether float16 and bfloat16 give finite results close to float32."""
    overlap: int = 0
    """Context in pixels that tiles get where `tiling` is "approximate"."""
    scale: int = 1
    """Output pixels for one input pixel along a side."""
    blur: Told = "none"
    """What it can be told of the blur: nothing; a kernel, one PSF for the whole image; or any kind of blur."""
    estimates: bool = False
    """Whether it finds the blur itself where it is not told; see `models.blind_deconvolution`."""
    one_graph: bool = True
    """Whether the same operations serve every size of image, so that the network can be exported."""
    every_scale: bool = False
    """Whether one set of weights serves every scale, as networks do that learned on a mixture of enlargements."""

    @property
    def must_be_told(self) -> bool:
        """Whether it restores nothing unless it is told the blur."""
        return self.blur != "none" and not self.estimates

    @property
    def learns(self) -> bool:
        """Whether `train` makes its weights: not of classical methods, even with parameters that are fitted."""
        return self.parameters > 0 and not self.must_be_told


@dataclass(frozen=True)
class Ablation:
    """A variant that a paper compares its system with: what differs from the system and from its training."""

    summary: str
    """What is left out or replaced, and where in the paper."""
    config: Mapping[str, object] = field(default_factory=dict)
    """Options of the network."""
    loss_weights: Mapping[str, float] = field(default_factory=dict)
    objective: Mapping[str, object] = field(default_factory=dict)
    """Options of the objective."""
