"""`restorekit quantize`."""

import logging
import sys
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Annotated

import typer

from restorekit.cli import console, options


def quantize(
    data: Annotated[Path, typer.Option(help="Folder of pairs, or of sharp images, which are degraded as in training.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The ONNX file, for --weights with --precision int8.")],
    model: Annotated[str, typer.Option(help="A system; see `restorekit models`.")] = "gggan-lite",
    scale: Annotated[int | None, typer.Option(min=1, help="Of the network, for super-resolution.")] = None,
    weights: options.Weights = "auto",
    config: options.Config = None,
    budget_db: Annotated[
        float, typer.Option(min=0, help="Largest loss in dB; layers that cost most stay in float32 until it is kept.")
    ] = 0.1,
) -> None:
    """Make a network compute in 8-bit integers, and tell what that costs.

    About a dozen of the images measure the loss and calibrate nothing; at
    most 40 of the others find the scales.
    """
    from restorekit.models import registry
    from restorekit.training.quantization import quantize as quantize_graph

    with suppress(ImportError):  # quantizing tells what to install
        import nncf

        nncf.set_log_level(logging.WARNING)  # below, it tells of every node
    with redirect_stdout(sys.stderr):  # NNCF's bars
        loss = quantize_graph(
            out,
            data=data,
            model=model,
            weights=weights,
            scale=scale,
            config=registry.parse_config(model, config or ()),
            budget_db=budget_db,
        )
    console.say(f"{out}: {loss}.")
