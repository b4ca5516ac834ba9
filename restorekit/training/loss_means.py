"""Loss terms between two rows of the log, and the error for one that is not finite."""

import torch

from restorekit.errors import RestorekitError
from restorekit.training import processes
from restorekit.training.objectives.base import LossTerms


class NotFinite(RestorekitError):
    """A loss term or a weight is infinite or not a number.

    Args:
        what: the subject of a sentence, e.g. "The loss term 'pixel'".
        step: after how many steps of the run it was found; that of the loss term is among them.
    """

    def __init__(self, what: str, step: int) -> None:
        hint = "Begin another run with the precision fp32 or a lower learning rate."
        super().__init__(f"{what} is no longer finite at step {step}.", hint)
        self.step = step


class LossMeans:
    """Means of loss terms. The terms stay on the device: reading a number waits for everything before it.

    Args:
        steps: terms of steps that are done and not yet in the log.
    """

    def __init__(self, steps: list[LossTerms]) -> None:
        self.steps = steps

    def add(self, terms: LossTerms) -> None:
        """One step's terms; not every step has all."""
        self.steps.append(terms)

    def means(self, step: int) -> dict[str, float]:
        """The means per step, over all processes.

        Args:
            step: how many steps the run has done.

        Raises:
            NotFinite: a term is not; the first one is named.
        """
        processes.average(term for terms in self.steps for term in terms.values())
        names = list(dict.fromkeys(name for terms in self.steps for name in terms))
        absent = torch.zeros((), device=next(iter(self.steps[0].values())).device)
        rows = [torch.stack([terms.get(name, absent).float() for name in names]) for terms in self.steps]
        table = torch.stack(rows).cpu()  # (steps, terms)
        for row, column in (~table.isfinite()).nonzero().tolist():
            raise NotFinite(f"The loss term '{names[column]}'", step - len(rows) + row + 1)
        return dict(zip(names, table.mean(0).tolist(), strict=True))

    def clear(self) -> None:
        """Forget the steps; they are in the log."""
        self.steps = []
