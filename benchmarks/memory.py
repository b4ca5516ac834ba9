"""Peak memory of `restorekit deblur` on one picture of 4000x3000, as the operating system counts it."""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
from skimage import data

from restorekit.media import images
from restorekit.media.picture import Picture

with tempfile.TemporaryDirectory() as place:
    photo = cv2.resize(data.astronaut(), (4000, 3000), interpolation=cv2.INTER_CUBIC)
    images.write(Picture(photo), Path(place) / "large.png")
    command = [
        sys.executable,
        "-m",
        "restorekit",
        "deblur",
        f"{place}/large.png",
        "-o",
        f"{place}/out",
        "--device",
        "cpu",
    ]
    subprocess.run(command, check=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"peak resident memory of the command: {peak:.0f} MB")
