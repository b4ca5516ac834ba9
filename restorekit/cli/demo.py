"""`restorekit demo`."""

from pathlib import Path
from typing import Annotated

import typer

from restorekit.cli import console
from restorekit.cli.progress import Bar


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The pictures are written here.")] = Path("restorekit-demo"),
) -> None:
    """Blur pictures that come with scikit-image, restore them, and measure: the whole tool in a minute."""
    from restorekit.evaluation import demo

    with Bar("Deblurring") as bar:
        scores = demo.run(out, bar)
    rows = [
        (
            one.name,
            f"{one.length:.0f} px at {one.angle:.0f} deg",
            f"{one.before[0]:.2f} dB / {one.before[1]:.3f}",
            f"{one.after[0]:.2f} dB / {one.after[1]:.3f}",
            f"{one.after[0] - one.before[0]:+.2f} dB",
        )
        for one in scores
    ]
    columns = ("picture", "blur", "blurred: PSNR / SSIM", "restored: PSNR / SSIM", "gain")
    console.out.print(console.listing("RGB PSNR and SSIM (11x11 Gaussian window) of the written files", columns, rows))
    for folder, content in demo.FOLDERS.items():
        console.out.print(f"{out / folder}: {content}", soft_wrap=True)
