"""What all settings of a training run share: typed fields, no unknown keys, errors that name the key."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from pydantic import ConfigDict, ValidationError

from restorekit.errors import RestorekitError, UsageError

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
"""For `pydantic.dataclasses.dataclass`: a misspelt key is an error, and so is a number that is not finite."""


def usage_error(
    error: ValidationError, what: str, known: Sequence[str] = (), path: Path | None = None
) -> RestorekitError:
    """The first fault that pydantic found, as this project tells errors.

    Args:
        error: what pydantic raised.
        what: what was being read, e.g. "recipe".
        known: the keys that exist, for a hint.
        path: the file it was read from.
    """
    fault = error.errors(include_url=False)[0]
    cause = fault.get("ctx", {}).get("error")
    if isinstance(cause, RestorekitError):
        return UsageError(cause.reason, cause.hint, path or cause.path)
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] == "unexpected_keyword_argument":
        near = get_close_matches(key, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}." if known else ""
        return UsageError(f"The {what} has no '{key}'.", hint, path)
    return UsageError(f"The {what} is wrong{f' at {key}' if key else ''}: {fault['msg']}.", path=path)
