"""`restorekit deblur`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from restorekit.cli import console, options


def deblur(
    inputs: options.Inputs,
    out: Annotated[Path, typer.Option("--out", "-o", help="Results go here; the tree of folders is kept.")] = Path(
        "restored"
    ),
    model: Annotated[str, typer.Option(help="A system; see `restorekit models`.")] = "gggan-lite",
    weights: Annotated[
        str, typer.Option(help="A tag of the model's weights (see `restorekit models`), a file, or auto.")
    ] = "auto",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    tile: Annotated[str, typer.Option(help="Side of the tiles in pixels, or auto.")] = "auto",
    overlap: Annotated[
        str, typer.Option(help="Context around a tile in pixels; auto is the network's reach: no seams.")
    ] = "auto",
    batch: Annotated[str, typer.Option(help="Tiles computed together, or auto.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Restore again what is already done.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    compare: Annotated[
        Path | None, typer.Option(help="Write pictures that show input and result side by side to this folder.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write one line of JSON for every picture to this file.")] = None,
) -> None:
    """Sharpen blurred pictures.

    Reads PNG, JPEG, WebP, TIFF and BMP; writes the same format, depth and metadata. A second run does only what is
    missing. Inputs are never touched.
    """
    chosen: dict[str, Any] = {
        "device": device,
        "precision": options.one_of(precision, "precision", ("auto", "fp32", "bf16", "fp16")),
        "tile": options.whole(tile, "tile"),
        "overlap": options.whole(overlap, "overlap"),
        "batch": options.whole(batch, "batch"),
    }
    from restorekit.inference.engine import Settings
    from restorekit.inference.folder import restore_folder

    with console.Bar("Deblurring") as bar:
        found = restore_folder(
            inputs,
            out,
            model=model,
            weights=weights,
            settings=Settings(**chosen),
            overwrite=overwrite,
            dry_run=dry_run,
            compare=compare,
            report=report,
            watcher=console.RestoreWatcher(bar),
        )
    console.summary(found, dry_run)
    raise typer.Exit(found.exit_code)
