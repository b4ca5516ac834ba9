"""The command `restorekit` and its subcommands."""

import sys
from typing import Annotated

import typer

from restorekit._version import __version__
from restorekit.cli import (
    benchmark,
    console,
    deblur,
    demo,
    doctor,
    export,
    kernel,
    models,
    quantize,
    sr,
    synth_blur,
    train,
)
from restorekit.errors import ExitCode, RestorekitError
from restorekit.runtime.memory import keep_buffers

EPILOG = (
    "Exit codes: 0 all done, 1 defect, 2 usage, 3 some images failed, 4 weights, 5 output not writable, "
    "130 interrupted."
)

app = typer.Typer(
    no_args_is_help=True,
    epilog=EPILOG,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("benchmark")(benchmark.benchmark)
app.command("deblur")(deblur.deblur)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("export")(export.export)
app.command("quantize")(quantize.quantize)
app.command("sr")(sr.sr)
app.command("synth-blur")(synth_blur.synth_blur)
app.command("train")(train.train)
app.add_typer(kernel.app, name="kernel")
app.add_typer(models.app, name="models")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"restorekit {__version__}")
        raise typer.Exit


@app.callback()
def restorekit(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Restore blurred or small images: one, a folder, a million."""
    keep_buffers()


def main() -> None:
    """Run the command line; deliberate errors become one clear message and an exit code."""
    try:
        app()
    except RestorekitError as error:
        console.problem(error)
        sys.exit(error.exit_code)
    except (OSError, ModuleNotFoundError) as error:
        told = console.explain(error)
        if told is None:
            raise
        console.problem(told)
        sys.exit(told.exit_code)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != ExitCode.INTERRUPTED:  # typer makes this one of Ctrl-C
            raise
        console.say("Interrupted. Run the same command again to continue.")
        sys.exit(ExitCode.INTERRUPTED)
    finally:
        console.err.quiet = False
