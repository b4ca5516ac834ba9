"""`restorekit models`."""

from typing import Annotated

import typer

from restorekit.cli import console
from restorekit.errors import ExitCode

app = typer.Typer(help="List the systems and their weights, or verify the weights that ship.")


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """List the systems and the weights that ship with them."""
    if context.invoked_subcommand is not None:
        return
    from restorekit.models import registry
    from restorekit.models.registry import Broken
    from restorekit.weights import manifest

    rows = []
    for spec in registry.specs():
        if isinstance(spec, Broken):
            rows.append((spec.name, "broken", spec.reason, "", "", "", ""))
            continue
        tags = [
            entry.tag + (" (default)" if entry.default else "")
            for entry in manifest.entries()
            if entry.model == spec.name
        ]
        rows.append(
            (
                spec.name,
                spec.task,
                spec.paper,
                f"{spec.parameters:,}",
                f"{spec.macs_per_pixel:,}",
                f"{spec.tiling}, reach {spec.reach} px",
                ", ".join(tags) or "none",
            )
        )
    columns = ("name", "task", "paper", "parameters", "MACs/pixel", "tiling", "weights that ship")
    console.out.print(console.listing("Systems", columns, rows))
    scores = [
        (
            f"{entry.model} {entry.tag}",
            entry.domain,
            f"{entry.size / 1e6:.1f} MB",
            entry.licence,
            protocol,
            _scores(values),
        )
        for entry in manifest.entries()
        for protocol, values in entry.scores.items()
    ]
    console.out.print(
        console.listing("Weights that ship", ("weights", "for", "size", "licence", "protocol", "measured"), scores)
    )


def _scores(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Models to verify; all by default.")] = None,
) -> None:
    """Compare the weight files that ship with their sizes and hashes in weights.toml."""
    from restorekit.weights import files, manifest

    rows = []
    for entry in manifest.entries():
        if names and entry.model not in names:
            continue
        if not entry.path.is_file():
            state = "absent"
        elif files.sha256(entry.path) != entry.sha256:
            state = "damaged"
        else:
            state = "ok"
        rows.append((entry.model, entry.tag, entry.file, state))
    console.out.print(console.listing("Weight files", ("model", "weights", "file", "state"), rows))
    if any(state != "ok" for *_, state in rows):
        console.say("Install restorekit again to get the files back.")
        raise typer.Exit(ExitCode.WEIGHTS)
