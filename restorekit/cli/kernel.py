"""`restorekit kernel`."""

from pathlib import Path
from typing import Annotated

import typer

from restorekit.cli import console

app = typer.Typer(help="Find the PSF that blurred an image.", no_args_is_help=True)


@app.callback()
def kernel() -> None:
    """Find the PSF that blurred an image."""


@app.command()
def estimate(
    blurred: Annotated[Path, typer.Argument(help="An image.")],
    sharp: Annotated[Path, typer.Argument(help="The same without blur, of the same size.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A TIFF that `deblur --kernel` takes; a picture is written beside it.")
    ] = Path("psf.tif"),
    side: Annotated[
        int | None,
        typer.Option(min=1, help="Pixels that the PSF may measure, odd; by default 65, or a third of a smaller image."),
    ] = None,
) -> None:
    """Find the PSF between a blurred image and its sharp one."""
    from restorekit.pipeline.blur_files import estimate_psf, picture_of

    psf = estimate_psf(blurred, sharp, out, side)
    console.say(f"{out}: a PSF of {psf.shape[1]}x{psf.shape[0]} px; {picture_of(out)} shows it.")
