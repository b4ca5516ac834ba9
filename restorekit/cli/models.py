"""`restorekit models`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from restorekit.cli import console
from restorekit.cli.progress import Bar
from restorekit.cli.tables import UNLIMITED, Column, print_table, terminal_width
from restorekit.errors import ExitCode, RestorekitError, UsageError

if TYPE_CHECKING:
    from restorekit.models.registry import Broken
    from restorekit.models.spec import Spec
    from restorekit.weights.manifest import BundledWeights, Manifest, RemoteWeights, Weights

app = typer.Typer(
    help="List the systems and their weights, show one, verify weights, or fetch those that others publish."
)


@app.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    wide: Annotated[bool, typer.Option("--wide", help="Print all columns, however long the lines.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table of the systems as Markdown.")] = False,
) -> None:
    """List the systems and their weights.

    A terminal gets the columns that fit; `restorekit models show NAME` tells the rest. Anything else gets all of them.
    """
    if context.invoked_subcommand is not None:
        return
    if wide + as_json + markdown > 1:
        raise UsageError("--wide, --json and --markdown exclude each other.", "Give one of them.")
    from restorekit.models import registry
    from restorekit.weights.manifest import load_manifest

    systems, manifest = registry.survey(), load_manifest()
    width = terminal_width()
    if as_json:
        console.show(json.dumps([_facts(spec, manifest) for spec in systems], indent=2))
    elif markdown:
        console.show(systems_markdown())
    elif wide or width is None:
        _print_everything(systems, manifest)
    else:
        _print_overview(systems, manifest, width)


def _print_overview(systems: Sequence[Spec | Broken], manifest: Manifest, width: int) -> None:
    from restorekit.models.registry import Broken

    columns = (
        Column("name"),
        Column("task"),
        Column("what it is", wraps=True, optional=True),
        Column("params", justify="right"),
        Column("bundled", justify="right", optional=True),
        Column("remote", justify="right", optional=True),
    )
    rows = [
        (spec.name, "broken", spec.reason, "", "", "")
        if isinstance(spec, Broken)
        else (
            spec.name,
            spec.task,
            spec.summary,
            _round_count(spec.parameters),
            str(len(manifest.bundled_for(spec.name)) or ""),
            str(len(manifest.remote_for(spec.name)) or ""),
        )
        for spec in systems
    ]
    print_table("Systems, with the number of their weight files", columns, rows, width)
    console.say("More: `restorekit models show NAME`, or `restorekit models --wide`.")


def _round_count(count: int) -> str:
    """A number of parameters in three digits: 951, 57.3 k, 4.62 M."""
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:#.3g} {unit}".replace(". ", " ")
    return str(count)


def _print_everything(systems: Sequence[Spec | Broken], manifest: Manifest) -> None:
    from restorekit.models.registry import Broken

    headers = ("name", "task", "what it is", "paper", "parameters", "MACs/pixel", "tiling", "bundled", "remote")
    rows = [
        (spec.name, "broken", spec.reason, *[""] * 6)
        if isinstance(spec, Broken)
        else (
            spec.name,
            spec.task,
            spec.summary,
            spec.paper,
            f"{spec.parameters:,}",
            f"{spec.macs_per_pixel:,}",
            _tiling(spec),
            ", ".join(f"{entry.tag}{' (default)' * entry.default}" for entry in manifest.bundled_for(spec.name))
            or ("none" if spec.parameters else "none needed"),
            ", ".join(f"{entry.tag} ({_presence(entry)})" for entry in manifest.remote_for(spec.name)) or "none",
        )
        for spec in systems
    ]
    right = ("parameters", "MACs/pixel")
    columns = [Column(header, justify="right" if header in right else "left") for header in headers]
    print_table("Systems", columns, rows, width=None)
    scores = [
        (entry.name, entry.domain, _size(entry), entry.licence, protocol, _scores(values))
        for entry in manifest.bundled
        for protocol, values in entry.scores.items()
    ]
    headers_of_scores = ("weights", "for", "size", "licence", "data and protocol", "measured")
    console.show("")
    print_table("Bundled weights", [Column(header) for header in headers_of_scores], scores, width=None)


def _tiling(spec: Spec) -> str:
    if spec.receptive_field is None:
        return f"{spec.tiling}, receptive field not bounded"
    return f"{spec.tiling}, receptive field {spec.receptive_field} px"


def _presence(entry: RemoteWeights) -> str:
    """Whether remote weights are on this machine, or how they come there."""
    return "fetched" if entry.is_here else "to be fetched" if entry.url else "browser"


def _size(entry: Weights) -> str:
    if entry.size is None:
        return "size not known"
    return f"{entry.size / 1e6:.1f} MB" if entry.size >= 10**6 else f"{entry.size / 1e3:.0f} kB"


def _scores(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


def _facts(spec: Spec | Broken, manifest: Manifest) -> dict[str, Any]:
    """All that is known of a system, ready for JSON."""
    from restorekit.models import registry
    from restorekit.models.registry import Broken

    if isinstance(spec, Broken):
        return {"name": spec.name, "broken": spec.reason}
    return {
        **asdict(spec),
        "options": [{"name": name, "type": kind, "default": default} for name, kind, default in _options(spec.name)],
        "ablations": {name: asdict(ablation) for name, ablation in registry.ablations(spec.name).items()},
        "bundled": [entry.model_dump(mode="json") for entry in manifest.bundled_for(spec.name)],
        "remote": [
            {**entry.model_dump(mode="json"), "path": str(entry.path), "fetched": entry.is_here}
            for entry in manifest.remote_for(spec.name)
        ],
    }


def _options(name: str) -> Iterator[tuple[str, str, object]]:
    """Name, type and default of every option of a system."""
    from restorekit.models import registry

    config = registry.find(name).Config
    types = get_type_hints(config)
    for field in fields(config):
        yield field.name, _describe_type(types[field.name]), field.default


def _describe_type(annotation: Any) -> str:
    """A type in words for people: integer, integers, one of several values."""
    names = {int: "integer", float: "number", bool: "yes or no", str: "text"}
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return " or ".join(map(str, arguments))
    if get_origin(annotation) is tuple:
        count = "any number of" if Ellipsis in arguments else str(len(arguments))
        return f"{count} {_describe_type(arguments[0])}s"
    return names.get(annotation, str(annotation))


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
        radius = "" if spec.receptive_field is None else f", {spec.receptive_field} px"
        lines.append(
            f"| `{spec.name}` | {spec.task} | {spec.summary} | {spec.paper} | {spec.parameters:,} | "
            f"{spec.macs_per_pixel:,} | {spec.tiling}{radius} |"
        )
    return "\n".join(lines)


@app.command()
def show(name: Annotated[str, typer.Argument(help="A system; see `restorekit models`.")]) -> None:
    """Show all that is known of a system: facts, options, weights with their scores and terms."""
    from restorekit.inference.backends.choice import remembered
    from restorekit.models import registry
    from restorekit.models.config import format_value
    from restorekit.weights.manifest import load_manifest

    spec, manifest = registry.spec_of(name), load_manifest()
    name = spec.name
    facts = {
        "task": spec.task,
        "paper": spec.paper,
        "parameters": f"{spec.parameters:,}",
        "MACs/pixel": f"{spec.macs_per_pixel:,}",
        "tiling": _tiling(spec),
        "size multiple": f"{spec.size_multiple} px",
        "half precision": "yes" if spec.half_precision else "no",
        "memory": f"{spec.bytes_per_pixel:,} bytes per input pixel, in float32",
        "objective": spec.objective if spec.learns else "none: it is not trained",
    }
    _print_paragraph(f"{name}: {spec.summary}")
    for fact, text in facts.items():
        _print_paragraph(f"{fact:<15} {text}", 2, 18)
    options = [(f"{key}={format_value(default)}", kind) for key, kind, default in _options(name)]
    if options:
        console.show("\nOptions with their defaults, for --config")
        length = max(len(option) for option, _ in options)
        for option, kind in options:
            _print_paragraph(f"{option:<{length}}  {kind}", 2, length + 4)
    variants = registry.ablations(name)
    if variants:
        console.show("\nAblations, for train --ablation")
        length = max(map(len, variants))
        for key, variant in variants.items():
            _print_paragraph(f"{key:<{length}}  {variant.summary}", 2, length + 4)
    bundled, remote = manifest.bundled_for(name), manifest.remote_for(name)
    measured = list(remembered(name))
    if measured:
        console.show("\nBack ends, as --backend auto measured them here")
    for choice in measured:
        _print_paragraph(str(choice), 2, 4)
    if bundled or remote:
        console.show("\nWeights, for --weights")
    for entry in bundled:
        _show_bundled(entry)
    for other in remote:
        _show_remote(other)


def _show_bundled(entry: BundledWeights) -> None:
    default = ", default" if entry.default else ""
    _print_paragraph(f"{entry.tag} (bundled{default}, {_size(entry)})", 2)
    _print_paragraph(f"for {entry.domain}", 4, 6)
    _print_paragraph(f"bad at {entry.weakness}", 4, 6)
    _print_paragraph(f"licence: {entry.licence}", 4, 6)
    for protocol, values in entry.scores.items():
        _print_paragraph(f"{protocol}: {_scores(values)}", 4, 6)
    if entry.int8:
        _print_paragraph(f"in int8 {entry.int8.loss} ({entry.int8.data})", 4, 6)


def _show_remote(entry: RemoteWeights) -> None:
    _print_paragraph(f"{entry.tag} (remote, {_presence(entry)}, {_size(entry)})", 2)
    _print_paragraph(f"licence: {entry.licence}", 4, 6)
    _print_paragraph(f"paper: {entry.paper}", 4, 6)
    _print_paragraph(f"page: {entry.page}", 4, 6)
    if entry.note:
        _print_paragraph(f"note: {entry.note}", 4, 6)
    if not entry.is_here:
        _print_paragraph(f"fetch: restorekit models fetch {entry.name}", 4, 6)


def _print_paragraph(text: str, first: int = 0, rest: int = 0) -> None:
    """Print a paragraph to stdout, wrapped at spaces where a terminal shows it.

    Args:
        text: the paragraph.
        first: spaces before its first line.
        rest: spaces before the others.
    """
    wrapped = textwrap.fill(
        text,
        terminal_width() or UNLIMITED,
        initial_indent=" " * first,
        subsequent_indent=" " * rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    console.show(wrapped)


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Models to verify; all by default.")] = None,
) -> None:
    """Compare the weight files that are bundled, and those that were fetched, with their hashes."""
    from restorekit.models import registry
    from restorekit.weights.manifest import load_manifest

    manifest, models = load_manifest(), [registry.resolve(name) for name in names or []]
    present: list[Weights] = [*manifest.bundled, *(entry for entry in manifest.remote if entry.is_here)]
    entries = [entry for entry in present if not models or entry.model in models]
    states = [_state(entry) for entry in entries]
    columns = (Column("weights"), Column("file", optional=True), Column("state", wraps=True))
    rows = [(entry.name, entry.file, state) for entry, state in zip(entries, states, strict=True)]
    print_table("", columns, rows, terminal_width())
    hints = {entry.hint for entry, state in zip(entries, states, strict=True) if state in ("absent", "damaged")}
    for hint in sorted(hints):
        console.say(hint)
    if hints:
        raise typer.Exit(ExitCode.WEIGHTS)


def _state(entry: Weights) -> str:
    """What `verify` says of a file."""
    from restorekit.weights import state_dict
    from restorekit.weights.manifest import BundledWeights

    if not entry.is_here:
        return "absent"
    files = [(part.path, part.expected_sha256) for part in entry.parts]
    if isinstance(entry, BundledWeights) and entry.int8:
        files.append((entry.int8.path, entry.int8.sha256))
    if any(expected not in (None, state_dict.sha256(path)) for path, expected in files):
        return "damaged"
    return "ok" if entry.sha256 else "as it came (its publisher states no hash)"


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(help="What to fetch: MODEL:TAG, or MODEL for its first; see `models`.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be fetched, and from where.")
    ] = False,
) -> None:
    """Fetch weights that others publish, for `--weights TAG`.

    They are kept in $RESTOREKIT_CACHE (by default the user's cache folder). A
    file whose hash is right is not fetched again; an interrupted fetch
    continues where it stopped.
    """
    from restorekit.weights.fetch import manual_hint
    from restorekit.weights.manifest import load_manifest

    manifest, code = load_manifest(), ExitCode.OK
    for entry in [_find_remote(manifest, name) for name in names]:
        if dry_run:
            state = "here" if entry.is_here else "would be fetched" if entry.url else manual_hint(entry)
        else:
            try:
                state = _fetch(entry)
            except RestorekitError as error:  # the others are fetched all the same
                console.problem(error)
                state, code = "failed", error.exit_code
        console.show(f"{entry.name}: {state}")
        details = [
            f"{_size(entry)}, licence: {entry.licence}",
            f"from {entry.url or entry.page}",
            f"to {entry.path}",
        ]
        for line in [*details, *([entry.note] if entry.note else [])]:
            console.show(f"    {line}")
    if code:
        raise typer.Exit(code)


def _find_remote(manifest: Manifest, name: str) -> RemoteWeights:
    """The weights that MODEL or MODEL:TAG names. Those of VGG are of no system."""
    from restorekit.models import registry

    model, _, tag = name.partition(":")
    return manifest.find_remote(model if manifest.remote_for(model) else registry.resolve(model), tag or None)


def _fetch(entry: RemoteWeights) -> str:
    """Fetch weights behind a bar; what became of them."""
    from restorekit.weights.fetch import fetch

    with Bar(f"Fetching {entry.name}") as bar:
        fresh = fetch(entry, bar)
    verified = "verified" if entry.sha256 else "its hash is recorded, not verified: the publisher states none"
    return f"{'fetched' if fresh else 'was here already'}, {verified}"
