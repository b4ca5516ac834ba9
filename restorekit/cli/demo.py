"""`restorekit demo`."""

from pathlib import Path
from typing import Annotated

import typer

from restorekit.cli import console
from restorekit.cli.progress import Bar
from restorekit.cli.tables import Column, print_table, terminal_width


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The images are written here.")] = Path("restorekit-demo"),
) -> None:
    """Blur images that come with scikit-image, restore them, and measure: the whole tool in a minute."""
    from restorekit.evaluation import demo

    with Bar("Deblurring") as bar:
        scores = demo.run_demo(out, bar)
    rows = [
        (
            image.name,
            f"{image.length:.0f} px at {image.angle:.0f} deg",
            f"{image.before[0]:.2f} dB / {image.before[1]:.3f}",
            f"{image.after[0]:.2f} dB / {image.after[1]:.3f}",
            f"{image.after[0] - image.before[0]:+.2f} dB",
        )
        for image in scores
    ]
    columns = [Column(header) for header in ("image", "blur", "blurred", "restored", "gain")]
    print_table("PSNR and SSIM (RGB, 11x11 Gaussian window) of the written files", columns, rows, terminal_width())
    for folder, content in demo.FOLDERS.items():
        console.show(f"{out / folder}: {content}")
