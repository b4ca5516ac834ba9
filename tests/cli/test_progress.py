"""The bar, as it is drawn."""

import io

import pytest
from rich.console import Console

from restorekit.cli import progress
from restorekit.runtime.progress import Event, Work


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.mp4", "a.mp4: frame 4 of 30"),
        ("a[/b].mp4", "a[/b].mp4: frame 4 of 30"),  # no markup
        ("\x1b.mp4", r"\x1b.mp4: frame 4 of 30"),
        ("a name of a hundred characters" * 4 + ".mp4", "...ters.mp4: frame 4 of 30"),
    ],
)
def test_a_videos_name_leaves_room_for_the_remaining_time_and_steers_nothing(
    name: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None, emoji=False)
    monkeypatch.setattr(progress, "err", drawn)
    bar = progress.Bar("Deblurring")
    bar.begin(Work(1, 30.0, "MP", ""))
    bar._begun -= 10
    bar.step(Event(f"{name}: frame 4 of 30", 0, 4.0))
    drawn.print(bar._bar.get_renderable())
    line = drawn.file.getvalue().splitlines()[-1]
    assert line.startswith("Deblurring ")
    assert " MP/s left 0:00:" in line
    assert line.rstrip().endswith(shown)
