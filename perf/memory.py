"""Peak memory of `restorekit deblur` on 4000x3000 and of `restorekit sr` from 2040x1536, as the system counts."""

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
from skimage import data

from restorekit.media.encode import write_image
from restorekit.media.image import Image

CODE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""

with tempfile.TemporaryDirectory() as place:
    for command, size in (("deblur", (4000, 3000)), ("sr", (2040, 1536))):
        photo = cv2.resize(data.astronaut(), size, interpolation=cv2.INTER_CUBIC)
        write_image(Image(photo), Path(place) / f"{command}.png")
        work = [sys.executable, "-m", "restorekit", command, f"{place}/{command}.png", "-o", f"{place}/out"]
        found = subprocess.run(
            [sys.executable, "-c", CODE, *work, "--device", "cpu"], capture_output=True, text=True, check=True
        )
        print(f"restorekit {command} on {size[0]}x{size[1]}: peak memory {int(found.stdout) / 1024:.0f} MB")
