"""The project's own files agree with each other."""

from pathlib import Path

import pytest

import restorekit

CITATION = Path(__file__).parent.parent / "CITATION.cff"


@pytest.mark.skipif(not CITATION.exists(), reason="the citation is not beside an installed package")
def test_the_version_to_cite_is_the_version() -> None:
    assert f"\nversion: {restorekit.__version__}\n" in CITATION.read_text(encoding="utf-8")
