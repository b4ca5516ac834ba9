import pytest

from restorekit.pipeline.estimate import Estimate


def test_unseen_files_are_taken_to_be_like_those_that_are_known() -> None:
    estimate = Estimate([100, 300, 600], pixels=2.0)
    assert estimate.left == pytest.approx(0.002)
    estimate.know(0.5)
    assert estimate.left == pytest.approx(0.5 + 900 * 0.5 / 100)
    estimate.know(3.5)
    assert estimate.left == pytest.approx(0.5 + 3.5 + 600 * 4.0 / 400)
    estimate.finish()
    assert estimate.left == pytest.approx(3.5 + 600 * 4.0 / 400)
    estimate.finish()
    estimate.know(1.0)
    estimate.finish()
    assert estimate.left == 0


def test_what_cannot_be_read_says_nothing_about_the_others() -> None:
    estimate = Estimate([400, 100, 500], pixels=2.0)
    estimate.know(0.0)
    assert estimate.left == pytest.approx(600 * 2e-6)
    estimate.finish()
    estimate.know(0.1)
    estimate.know(0.0)
    assert estimate.left == pytest.approx(0.1)


def test_empty_files_are_no_division_by_zero() -> None:
    estimate = Estimate([0, 10], pixels=1.0)
    estimate.know(3.0)
    assert estimate.left == pytest.approx(3.0 + 10e-6)
