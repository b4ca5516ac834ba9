"""log.csv: one row per report of a run; and the same for TensorBoard."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from restorekit.errors import UsageError
from restorekit.runtime.atomic import write_atomically


@dataclass(frozen=True)
class LogRow:
    """How far a run is, and how well it does."""

    step: int
    seconds: float
    """Training time of the whole run so far, earlier sittings included."""
    learning_rate: float
    losses: Mapping[str, float]
    """Mean of every weighted loss term since the last row."""
    scores: Mapping[str, float]
    """PSNR (dB) and SSIM of the validation images, restored and as they came; empty between validations."""
    measured_on: str = ""
    """What the scores were measured on."""

    def curves(self) -> dict[str, float]:
        """What is drawn over the steps. Losses and scores have a prefix: both know an "ssim"."""
        losses = {f"loss/{name}": value for name, value in self.losses.items()}
        return losses | {f"validation/{name}": value for name, value in self.scores.items()}

    def cells(self) -> dict[str, str]:
        """Columns of log.csv."""
        cells = {
            "step": str(self.step),
            "seconds": f"{self.seconds:.1f}",
            "learning_rate": f"{self.learning_rate:.3g}",
            **{name: f"{value:.5g}" for name, value in self.curves().items()},
        }
        return cells | {"validation/measured_on": self.measured_on} if self.scores else cells


class Log:
    """The file, rewritten whole for each row, because later rows can have more columns.

    Args:
        path: the file.
        rows: what it holds so far.
    """

    def __init__(self, path: Path, rows: list[dict[str, str]]) -> None:
        self.path, self.rows = path, rows

    @classmethod
    def resume(cls, path: Path, step: int) -> "Log":
        """Go on with a log, without the rows after the checkpoint at `step`: they will come again.

        Raises:
            UsageError: the file is no such log.
        """
        if not path.exists():
            return cls(path, [])
        try:
            with path.open(encoding="utf-8", newline="") as file:
                return cls(path, [row for row in csv.DictReader(file) if int(row["step"]) <= step])
        except (OSError, ValueError, KeyError, TypeError, csv.Error):
            raise UsageError("The file is no training log.", "Move it away to go on without it.", path) from None

    def append(self, row: LogRow) -> None:
        """Add a row.

        Raises:
            UnwritableOutput: no permission, no space.
        """
        self.rows.append(row.cells())
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(self.path, text.getvalue().encode())


class TensorBoard:
    """The rows as TensorBoard shows them, live.

    Args:
        folder: where its files go.
        step: later rows of an earlier sitting are struck out: they will come again.

    Raises:
        UsageError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            hint = "Install it with `pip install tensorboard`, or go without."
            raise UsageError("TensorBoard is not installed.", hint) from None
        self.writer = SummaryWriter(folder, purge_step=step + 1)

    def append(self, row: LogRow) -> None:
        """Add a row."""
        for name, value in {"learning_rate": row.learning_rate, **row.curves()}.items():
            self.writer.add_scalar(name, value, row.step)
        self.writer.flush()
