"""How long `restorekit --help`, `restorekit deblur --help`, completion, `import restorekit` and a first image take.

Each is compared with Python that starts and does nothing; `restorekit --help` should stay under 0.2 s. A small image by a
graph in ONNX Runtime, which should take under 0.6 s, is compared with the same image by PyTorch, whose import it spares.
Needs `restorekit[onnx]`.
"""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import cv2
from common import in_turns, parser, photo, record

from restorekit.inference.export import export

RUN = "import sys; sys.argv[0] = 'restorekit'; from restorekit.cli.app import main; main()"
COMPLETION = {"_RESTOREKIT_COMPLETE": "complete_bash", "COMP_WORDS": "restorekit deblur --", "COMP_CWORD": "2"}


def run(code: str, *arguments: str, **environment: str) -> None:
    """Run Python code as a program."""
    subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        check=True,
        env={**os.environ, **environment},
    )


def main() -> None:
    asked = parser(__doc__, rounds=15).parse_args()
    nothing = partial(run, "pass")
    for case, work in (
        ("restorekit --help", partial(run, RUN, "--help")),
        ("restorekit deblur --help", partial(run, RUN, "deblur", "--help")),
        ("completion of restorekit deblur --", partial(run, RUN, **COMPLETION)),
        ("import restorekit", partial(run, "import restorekit")),
    ):
        taken = in_turns(asked.rounds, {"python": nothing, "restorekit": work})
        record(asked.history, case, taken, "python", "restorekit")
    with tempfile.TemporaryDirectory() as folder:
        image, graph = str(Path(folder, "image.png")), str(Path(folder, "net.onnx"))
        cv2.imwrite(image, photo(64, 64))
        export(Path(graph), model="gggan-lite")
        deblur = partial(run, RUN, "deblur", image, "-o", str(Path(folder, "out")), "--overwrite")
        sides = {"torch": deblur, "graph": partial(deblur, "--weights", graph, "--backend", "onnx")}
        record(asked.history, "deblur of a 64x64 image", in_turns(asked.rounds, sides), "torch", "graph")


if __name__ == "__main__":
    main()
