"""How fast the engine runs a network on this machine, against the plain tiled loop that public tools use.

The loop cuts tiles of 512 px with 10 px of padding, runs them one by one in the default memory format and pastes the
results. 10 px is less than the networks reach, so the loop is inexact; the engine is exact unless an overlap is given, which
makes it as inexact as the loop. The allocator's settings last as long as a process, so each side runs in one of its own, in
turns.

    python perf/inference_speed.py [MODEL] [ROUNDS] [OVERLAP]
"""

import statistics
import subprocess
import sys

CODE = """
import sys, time
import cv2, torch
from skimage import data
from restorekit.models import registry
name, side = sys.argv[1:3]
photo = cv2.resize(data.astronaut(), (1920, 1080), interpolation=cv2.INTER_CUBIC)
torch.manual_seed(0)
model = registry.build(name).eval()
for p in model.parameters():
    if p.dim() > 1 and not p.any():
        torch.nn.init.normal_(p, std=1e-3)

def loop():
    rgb = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
    out = torch.empty_like(rgb)
    tile, pad = 512, 10
    with torch.no_grad():
        for y in range(0, 1080, tile):
            for x in range(0, 1920, tile):
                y0, x0, y1, x1 = max(0, y - pad), max(0, x - pad), min(1080, y + tile + pad), min(1920, x + tile + pad)
                part = model(rgb[..., y0:y1, x0:x1])
                h, w = min(tile, 1080 - y), min(tile, 1920 - x)
                out[..., y:y + h, x:x + w] = part[..., y - y0:y - y0 + h, x - x0:x - x0 + w]
    return (out[0].permute(1, 2, 0) * 255).round().byte().numpy()

if side == "loop":
    work = loop
else:
    from restorekit.inference.engine import Engine
    from restorekit.inference.settings import Settings
    tiles = {"tile": 512, "overlap": int(sys.argv[3])} if len(sys.argv) > 3 else {}
    restorer = Engine(model, registry.spec_of(name), Settings("cpu", side, **tiles))
    work = lambda: restorer(photo)
if name == "gggan-lite":
    work()
begun = time.perf_counter()
work()
print(time.perf_counter() - begun)
"""


def seconds(side: str) -> float:
    command = [sys.executable, "-c", CODE, model, side, *sys.argv[3:]]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


model = sys.argv[1] if len(sys.argv) > 1 else "gggan-lite"
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
times = [{side: seconds(side) for side in ("loop", "fp32", "bf16")} for _ in range(rounds)]
for side in ("fp32", "bf16"):
    ratio = statistics.median(one["loop"] / one[side] for one in times)
    ours, plain = (statistics.median(one[key] for one in times) for key in (side, "loop"))
    print(
        f"{model} 1920x1080, {side}: plain tiled loop {plain:.2f} s, restorekit {ours:.2f} s: {ratio:.2f} times as fast"
    )
