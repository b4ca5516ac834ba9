"""What the README says is what the program says."""

from pathlib import Path

import pytest

from restorekit.cli.models import systems_markdown

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.skipif(not README.exists(), reason="the README is not beside an installed package")
def test_the_table_of_systems_is_up_to_date() -> None:
    text = README.read_text(encoding="utf-8")
    table = text.split("<!-- systems -->")[1].split("<!-- end of systems -->")[0].strip()
    assert table == systems_markdown()
