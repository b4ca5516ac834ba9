"""What the README and the guide for contributors say is what the program says."""

import re
import shlex
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from restorekit.cli.app import app
from restorekit.cli.models import systems_markdown
from restorekit.evaluation.protocol import load_protocol, protocol_names
from restorekit.models import registry

README = Path(__file__).parent.parent / "README.md"
GUIDES = [guide for guide in (README, README.with_name("CONTRIBUTING.md")) if guide.exists()]


@pytest.mark.skipif(not README.exists(), reason="the README is not beside an installed package")
def test_the_table_of_systems_is_up_to_date() -> None:
    text = README.read_text(encoding="utf-8")
    table = text.split("<!-- systems -->")[1].split("<!-- end of systems -->")[0].strip()
    assert table == systems_markdown()


@pytest.mark.skipif(not README.exists(), reason="the README is not beside an installed package")
def test_published_rows_without_a_system_are_named() -> None:
    sentences = README.read_text(encoding="utf-8").split("published rows alone, no system:")[1].split("\n\n")[0]
    alone, variants = (set(re.findall(r"`([\w-]+)`", sentence)) for sentence in sentences.split(". ", maxsplit=1))
    published = {method for name in protocol_names() for table in load_protocol(name).tables for method in table.rows}
    ablations = {method for method in published if " " in method or method == "MSE"}  # of the SR paper
    assert published - ablations - set(registry.names()) == alone | variants | {"bicubic-as-published"}


COMMANDS = [
    line
    for guide in GUIDES
    for line in re.findall(r"^    (restorekit [^\n#]+)", guide.read_text(encoding="utf-8"), re.MULTILINE)
]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_has_the_options_it_is_shown_with(line: str) -> None:
    _, *words = shlex.split(line)
    command = get_command(app)
    while words and not words[0].startswith("-") and isinstance(command, TyperGroup):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    shown = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
    assert shown <= known


@pytest.mark.skipif(not README.exists(), reason="the README is not beside an installed package")
def test_commands_are_found() -> None:
    assert len(COMMANDS) > 25
