"""Tell images again by short hashes of their files: what a network was trained on must not be what it is tested on.

Eight bytes each: among 20,000 images trained on and 1,000 tested, two different files agree once in 10^12 such comparisons.
"""

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

LENGTH = 8  # bytes of a SHA-256


def fingerprint(path: Path) -> bytes:
    """The first bytes of the SHA-256 of a file's content.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()[:LENGTH]


def pack(fingerprints: Iterable[bytes]) -> str:
    """Fingerprints as text, the same for the same set: sorted, in base64, 11 letters each."""
    return base64.b64encode(b"".join(sorted(set(fingerprints)))).decode()


def unpack(text: str) -> frozenset[bytes]:
    """The set that `pack` was given.

    Raises:
        ValueError: the text is damaged.
    """
    data = base64.b64decode(text, validate=True)
    if len(data) % LENGTH:
        raise ValueError(f"{len(data)} bytes are no list of fingerprints")
    return frozenset(data[start : start + LENGTH] for start in range(0, len(data), LENGTH))
