"""`restorekit models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from restorekit.cli import console
from restorekit.errors import ExitCode, RestorekitError

if TYPE_CHECKING:
    from restorekit.weights.manifest import BundledWeights, RemoteWeights

app = typer.Typer(help="List the systems and their weights, verify them, or fetch weights that others publish.")


@app.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table of the systems as Markdown.")] = False,
) -> None:
    """List the systems, the weights that ship with them, and those that can be fetched."""
    if context.invoked_subcommand is not None:
        return
    if markdown:
        console.show(systems_markdown())
        return
    from restorekit.models import registry
    from restorekit.models.registry import Broken
    from restorekit.weights import manifest

    rows = []
    for spec in registry.survey():
        if isinstance(spec, Broken):
            rows.append((spec.name, "broken", spec.reason, "", "", "", "", ""))
            continue
        ship = [
            entry.tag + (" (default)" if entry.default else "")
            for entry in manifest.bundled()
            if entry.model == spec.name
        ]
        elsewhere = [
            entry.tag + (" (here)" if entry.path.is_file() else "" if entry.url else " (browser)")
            for entry in manifest.remote()
            if entry.model == spec.name
        ]
        rows.append(
            (
                spec.name,
                spec.task,
                spec.paper,
                f"{spec.parameters:,}",
                f"{spec.macs_per_pixel:,}",
                f"{spec.tiling}, "
                + ("reach not bounded" if spec.receptive_field is None else f"reach {spec.receptive_field} px"),
                ", ".join(ship) or ("none" if spec.parameters else "none needed"),
                ", ".join(elsewhere) or "none",
            )
        )
    facts = ("name", "task", "paper", "parameters", "MACs/pixel", "tiling")
    columns = (*facts, "weights that ship", "weights that can be fetched")
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
        for entry in manifest.bundled()
        for protocol, values in entry.scores.items()
    ]
    console.out.print(
        console.listing("Weights that ship", ("weights", "for", "size", "licence", "protocol", "measured"), scores)
    )


def systems_markdown() -> str:
    """The table of all systems, as the README has it."""
    from restorekit.models import registry
    from restorekit.models.registry import Broken

    lines = [
        "| system | task | what it is | paper | parameters | MACs/pixel | tiling |",
        "|---|---|---|---|---|---|---|",
    ]
    for spec in registry.survey():
        if isinstance(spec, Broken):
            lines.append(f"| `{spec.name}` | broken | {spec.reason} | | | | |")
            continue
        reach = "" if spec.receptive_field is None else f", {spec.receptive_field} px"
        lines.append(
            f"| `{spec.name}` | {spec.task} | {spec.summary} | {spec.paper} | {spec.parameters:,} | "
            f"{spec.macs_per_pixel:,} | {spec.tiling}{reach} |"
        )
    return "\n".join(lines)


def _scores(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Models to verify; all by default.")] = None,
) -> None:
    """Compare the weight files that ship, and those that were fetched, with their hashes."""
    from restorekit.weights import manifest, state_dict

    rows, hints = [], set()
    fetched = [entry for entry in manifest.remote() if entry.path.is_file()]
    known: list[BundledWeights | RemoteWeights] = [*manifest.bundled(), *fetched]
    for entry in known:
        if names and entry.model not in names:
            continue
        if not entry.path.is_file():
            state = "absent"
        elif entry.expected and state_dict.sha256(entry.path) != entry.expected:
            state = "damaged"
        else:
            state = "ok" if entry.sha256 else "as it came (its true hash is not known)"
        if state in ("absent", "damaged"):
            hints.add(entry.hint)
        rows.append((entry.model, entry.tag, entry.file, state))
    console.out.print(console.listing("Weight files", ("model", "weights", "file", "state"), rows))
    for hint in sorted(hints):
        console.say(hint)
    if hints:
        raise typer.Exit(ExitCode.WEIGHTS)


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(help="What to fetch: MODEL:TAG, or MODEL for its first; see `models`.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be fetched, and from where.")
    ] = False,
) -> None:
    """Bring weights that others publish to this machine, for `--weights TAG`.

    They are kept in $RESTOREKIT_CACHE (by default the user's cache folder). A file whose hash is right is not fetched again;
    an interrupted fetch continues where it stopped.
    """
    from restorekit.weights import manifest
    from restorekit.weights.fetch import by_hand

    code = ExitCode.OK
    for entry in [manifest.fetchable(name) for name in names]:
        if dry_run:
            state = "here" if entry.path.is_file() else "would be fetched" if entry.url else by_hand(entry)
        else:
            try:
                state = _fetch(entry)
            except RestorekitError as error:  # the others are fetched all the same
                console.problem(error)
                state, code = "failed", error.exit_code
        size = f"{entry.size / 1e6:.1f} MB" if entry.size else "size not known"
        lines = [f"{entry.name}: {state}", f"{size}, licence: {entry.licence}", f"from {entry.url or entry.page}"]
        lines += [f"to {entry.path}", *([entry.note] if entry.note else [])]
        console.show("\n    ".join(lines))
    if code:
        raise typer.Exit(code)


def _fetch(entry: RemoteWeights) -> str:
    """Fetch one file behind a bar; what became of it."""
    from restorekit.weights.fetch import fetch

    begun = seen = 0

    def watch(here: int, total: int) -> None:
        nonlocal begun, seen
        if not begun or here < seen:  # a transfer begins, or begins again; what was there before is no work of this one
            begun = seen = here
            bar.expect(round((total - here) / 1e6) if total else 0, (total - here) / 1e6)
        bar.advance((here - seen) / 1e6, "MB", (here - seen) / 1e6)
        seen = here

    with console.Bar(f"Fetching {entry.name}") as bar:
        fresh = fetch(entry, watch)
    verified = "verified" if entry.sha256 else "its hash is recorded, not verified: upstream states none"
    return f"{'fetched' if fresh else 'was here already'}, {verified}"
