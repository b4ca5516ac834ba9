"""Make the README's picture: a blurred photograph and, beside it, what `restorekit deblur` makes of it.

python tools/make_before_after.py [FILE]
"""

import argparse
import tempfile
from pathlib import Path

from PIL import Image

from restorekit.evaluation.demo import run_demo

PICTURE = Path(__file__).parent.parent / ".github" / "before-after.jpg"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("file", type=Path, nargs="?", default=PICTURE)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run_demo(Path(folder))
        [beside] = Path(folder, "compare").glob("astronaut*")
        with Image.open(beside) as comparison:
            comparison.convert("RGB").save(asked.file, quality=88)


if __name__ == "__main__":
    main()
