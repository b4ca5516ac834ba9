"""`restorekit export`."""

from pathlib import Path
from typing import Annotated

import typer

from restorekit.cli import console, options


def export(
    out: Annotated[Path, typer.Option("--out", "-o", help="The ONNX file.")],
    model: Annotated[str, typer.Option(help="A system; see `restorekit models`.")] = "gggan-lite",
    scale: Annotated[int | None, typer.Option(min=1, help="Of the network, for super-resolution.")] = None,
    weights: options.Weights = "auto",
    config: options.Config = None,
) -> None:
    """Write a network as an ONNX graph, checked against PyTorch.

    Any number of images of any size on the network's grid; the metadata tell
    the grid, the receptive field, the scale and where the weights come from.
    """
    from restorekit.inference.export import LARGEST_DIFFERENCE
    from restorekit.inference.export import export as export_graph
    from restorekit.models import registry

    difference = export_graph(
        out,
        model=model,
        weights=None if weights == "none" else weights,
        scale=scale,
        config=registry.parse_config(model, config or ()),
    )
    console.say(
        f"{out}: differs from PyTorch by {difference:.1e} at most ({LARGEST_DIFFERENCE:.0e} would be too much)."
    )
