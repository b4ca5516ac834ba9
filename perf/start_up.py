"""How long `restorekit --help`, `restorekit deblur --help`, completion and `import restorekit` take.

Each is compared with Python that starts and does nothing. `restorekit --help` should stay under 0.2 s.
"""

import os
import subprocess
import sys
from functools import partial

from common import in_turns, parser, record

RUN = "import sys; sys.argv[0] = 'restorekit'; from restorekit.cli.app import main; main()"
COMPLETION = {"_RESTOREKIT_COMPLETE": "complete_bash", "COMP_WORDS": "restorekit deblur --", "COMP_CWORD": "2"}


def run(code: str, *arguments: str, **environment: str) -> None:
    """Run Python code as a program."""
    subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.DEVNULL,
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


if __name__ == "__main__":
    main()
