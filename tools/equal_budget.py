"""Train several systems under one budget, of seconds or of samples, and write the table of their scores.

    python tools/equal_budget.py --data sharp/ --test pairs/ --seconds 36000 -o budget
    python tools/equal_budget.py --data sharp/ --test pairs/ --samples 400000 --model gggan --model srn -o budget

Each system trains by its own recipe, but for batch and crop, which are the same for all. A budget of seconds becomes steps:
a few are timed first, on this machine, which nothing else should use meanwhile. The same command goes on where it stopped;
plan.json holds what was decided. The table, with 95 % intervals, is that of `restorekit benchmark`: OUT/scores/results.csv.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

MODELS = ("gggan", "srn", "spsr-deblur", "deblurgan-v2", "msdn", "deblurgan")
TIMED = (4, 12)
"""Steps between which a step is timed; the first ones are slower."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of sharp images to train on, or of pairs")
    parser.add_argument("--test", type=Path, required=True, help="folder of pairs to measure on, of other images")
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--seconds", type=float, help="of training, for each system")
    budget.add_argument("--samples", type=int, help="crops that each system sees")
    parser.add_argument("--model", action="append", help=f"a system; may be repeated ({', '.join(MODELS)})")
    parser.add_argument("--batch", type=int, default=8, help="crops a step (%(default)s)")
    parser.add_argument("--crop", type=int, default=128, help="side of a crop in pixels (%(default)s)")
    parser.add_argument("--protocol", default="pairs", help="of the measuring (%(default)s)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of all runs")
    asked = parser.parse_args()
    models = asked.model or MODELS
    asked.out.mkdir(parents=True, exist_ok=True)
    for model in models:
        steps = planned_steps(model, asked)
        train(model, asked, asked.out / model, steps)
    rows = [f"--model={model}={model}:{asked.out / model / 'weights.safetensors'}" for model in models]
    measure = ["benchmark", "--protocol", asked.protocol, "--data", str(asked.test), "-o", str(asked.out / "scores")]
    restorekit(*measure, *rows, "--device", asked.device)


def planned_steps(model: str, asked: argparse.Namespace) -> int:
    """Steps that the budget pays for; decided once."""
    path = asked.out / "plan.json"
    plan = json.loads(path.read_text()) if path.exists() else {}
    key = (
        f"{model}, {asked.samples or asked.seconds:g} {'samples' if asked.samples else 'seconds'}, {asked.batch} crops"
    )
    key = f"{key} of {asked.crop} px"
    if key not in plan:
        steps = asked.samples / asked.batch if asked.samples else asked.seconds / seconds_a_step(model, asked)
        plan[key] = max(1, round(steps))
        path.write_text(json.dumps(plan, indent=2) + "\n")
    return int(plan[key])


def seconds_a_step(model: str, asked: argparse.Namespace) -> float:
    """Train a few steps and time them."""
    first, last = TIMED
    trial = asked.out / "trials" / model
    train(model, asked, trial, last, "--log-every", "1")
    with open(trial / "log.csv", newline="") as file:
        seconds = {int(row["step"]): float(row["seconds"]) for row in csv.DictReader(file)}
    return (seconds[last] - seconds[first]) / (last - first)


def train(model: str, asked: argparse.Namespace, out: Path, steps: int, *more: str) -> None:
    """Begin a run, or go on with it."""
    sizes = ["--steps", str(steps), "--batch", str(asked.batch), "--crop", str(asked.crop)]
    restorekit(
        "train", "--model", model, "--data", str(asked.data), "-o", str(out), *sizes, "--device", asked.device, *more
    )


def restorekit(*arguments: str) -> None:
    """Run a command, and end with its exit code where it fails."""
    ended = subprocess.run([sys.executable, "-m", "restorekit", *arguments], check=False)
    if ended.returncode:
        sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
