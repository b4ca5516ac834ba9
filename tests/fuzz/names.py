"""Names as file systems take them and nobody expects them. A seed gives the same names."""

import numpy as np

PIECES = [
    *(b"a", b" ", b"-", b"--out", b"*", b"?", b"[x]", b"{}", b"%s", b"$HOME", b"`id`", b";", b"&", b"'", b'"', b"\\"),
    *(
        b"\n",
        b"\t",
        b"\x1b[2J",
        b"\x1b]0;title\x07",
        b"\x08",
        b"\x7f",
        b"\x9b31m",
        b"\xc2\x9b31m",
        b"[red]",
        b"[/]",
        b"~",
    ),
    *(
        b":warning:",
        b"=1+1",
        b"<script>",
        b"</script",
        b"<!--",
        b"__proto__",
        b"..",
        b"...",
        b".part",
        b".png.png",
        b"CON",
    ),
    *(b"\xff", b"\xfe\xff", b"\xc3"),
    *(text.encode() for text in ("\u00fc", "u\u0308", "\u202e", "\u2028", "\U0001f600", "\u65e5\u672c")),
]


def odd_names(count: int, seed: int = 0) -> list[bytes]:
    """Different names of image files, of up to 255 bytes; none is hidden."""
    rng = np.random.default_rng(seed)
    names: set[bytes] = set()
    while len(names) < count:
        pieces = [PIECES[int(rng.integers(len(PIECES)))] for _ in range(int(rng.integers(1, 6)))]
        stem = b"".join(pieces) * (60 if rng.random() < 0.1 else 1)
        names.add((b"x" * stem.startswith(b".") + stem.replace(b"/", b""))[:251] + b".png")
    return sorted(names)
