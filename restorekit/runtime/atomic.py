"""Write files whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from restorekit.errors import UnwritableOutput


def write_atomically(path: Path, data: bytes) -> None:
    """Write bytes beside `path` and rename them into place.

    Raises:
        UnwritableOutput: see `write`.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(data)
        os.replace(beside, path)
    except OSError as error:
        with suppress(OSError):  # where nothing can be written nothing was left either
            beside.unlink(missing_ok=True)
        raise UnwritableOutput(
            f"The result cannot be written ({error.strerror}).",
            "Make room or choose another place with --out; running again continues.",
            path,
        ) from None
