"""The bytes of a file that is too large for memory."""

import os
from typing import BinaryIO


class FileBytes:
    """A file as `media.tags.Bytes`: slices are read when they are asked for.

    Args:
        stream: of a regular file; nobody else may read from it meanwhile.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream

    def __len__(self) -> int:
        return os.fstat(self.stream.fileno()).st_size

    def __getitem__(self, key: slice, /) -> bytes:
        start, stop, _ = key.indices(len(self))
        self.stream.seek(start)
        return self.stream.read(max(0, stop - start))
