"""Megapixels a second of every system in the engine, against the bare forward of the same module as it was built.

The engine folds batch and weight normalisation, works in channels-last memory and keeps freed buffers; the bare forward does
none of this. Both see one picture whole, in float32, in turns. The allocator's setting lasts as long as a process, so each
side has one of its own; both load the network once and report the median of their rounds.

    python perf/systems_speed.py [SIDE] [ROUNDS] [MODEL ...]
"""

import json
import subprocess
import sys

from rich.console import Console
from rich.table import Table

from restorekit.models import registry

CODE = """
import json, statistics, sys, time
import numpy as np, torch
from restorekit.models import registry
name, how, side, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
torch.manual_seed(0)
spec, model = registry.spec_of(name), registry.build(name).eval()
for part in model.parameters():
    if part.dim() > 1 and not part.any():
        torch.nn.init.normal_(part, std=1e-3)
photo = (np.random.default_rng(0).random((side, side, 3)) * 255).astype(np.uint8)
if how == "engine":
    from restorekit.inference.engine import Engine
    from restorekit.inference.settings import Settings
    restorer = Engine(model, spec, Settings("cpu", "fp32", tile=side))
    work = lambda: restorer(photo)
else:
    def work():
        with torch.no_grad():
            rgb = torch.from_numpy(photo).permute(2, 0, 1)[None].float().contiguous() / 255
            restored = model(rgb)
        return (restored[0].permute(1, 2, 0) * 255).round().byte().numpy()
work()
for line in sys.stdin:  # one round for every line: the two processes take turns
    begun = time.perf_counter()
    work()
    print(json.dumps(time.perf_counter() - begun), flush=True)
"""


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


side = int(sys.argv[1]) if len(sys.argv) > 1 else 256
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
names = sys.argv[3:] or [name for name in registry.names() if registry.spec_of(name).parameters]
table = Table(title=f"One {side}x{side} picture, float32, whole; median of {rounds} rounds in turns")
for column in ("system", "bare MP/s", "engine MP/s", "times as fast"):
    table.add_column(column, justify="left" if column == "system" else "right")
for name in names:
    sides = {
        how: subprocess.Popen(
            [sys.executable, "-c", CODE, name, how, str(side), str(rounds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for how in ("bare", "engine")
    }
    times: dict[str, list[float]] = {how: [] for how in sides}
    for _ in range(rounds):
        for how, process in sides.items():
            assert process.stdin
            assert process.stdout
            process.stdin.write("\n")
            process.stdin.flush()
            times[how].append(json.loads(process.stdout.readline()))
    for process in sides.values():
        process.communicate()
    megapixels = side * side / 1e6
    ratio = median([bare / engine for bare, engine in zip(times["bare"], times["engine"], strict=True)])
    table.add_row(
        name, f"{megapixels / median(times['bare']):.3f}", f"{megapixels / median(times['engine']):.3f}", f"{ratio:.2f}"
    )
Console(width=100).print(table)
