"""Make the graphs in int8 that ship beside weights, and write to weights.toml what they are and what they lose.

python tools/quantize_weights.py --photos BSDS500/train --endoscopy KVASIR_SEG_352/train [NAME ...]

Needs restorekit[int8]. Weights that lose more than the budget get no graph.
"""

import argparse
import json
import re
from dataclasses import asdict
from pathlib import Path

from restorekit.errors import RestorekitError
from restorekit.training.quantization import IMAGES, quantize
from restorekit.weights.loss import Loss
from restorekit.weights.manifest import BundledWeights, load_manifest
from restorekit.weights.state_dict import sha256

ROOT = Path(__file__).parent.parent
MANIFEST = ROOT / "weights.toml"
DATA = {
    "gggan-lite:photo": "photos",
    "gggan-lite:endoscopy": "endoscopy",
    "compact:x4": "photos",
    "compact:x2": "photos",
}
"""Which of the folders is like what the weights are for."""
BUDGET = 0.07
"""dB. On other images it is up to 0.1: those that measure it also chose what stays in float32."""
SAID = {"endoscopy": "Kvasir-SEG train, reduced to 352x352", "photos": "BSDS500 train"}


def table(path: Path, data: str, loss: Loss) -> str:
    """`[bundled.int8]` of weights.toml."""
    rounded = {name: round(value, 4) for name, value in asdict(loss).items()}
    fields = {
        "file": path.name,
        "sha256": sha256(path),
        "size": path.stat().st_size,
        "data": f"{IMAGES} images of {SAID[data]} found the scales, {loss.images} others measured the loss",
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
    said = ", ".join(f"{name} = {value}" for name, value in rounded.items())
    return "\n".join(["", "[bundled.int8]", *lines, f"loss = {{ {said} }}", ""])


def with_table(manifest: str, entry: BundledWeights, text: str) -> str:
    """The manifest with another `[bundled.int8]` at the end of an entry, or with none."""
    start = manifest.index(f'[[bundled]]\nmodel = "{entry.model}"\ntag = "{entry.tag}"\n')
    stop = manifest.index("\n[[", start)
    kept = re.sub(r"\n\[bundled\.int8\]\n(.+\n)+", "", manifest[start:stop])
    return manifest[:start] + kept + text + manifest[stop:]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for data in SAID:
        options.add_argument(f"--{data}", type=Path, required=True, metavar="DIR", help=SAID[data])
    options.add_argument("--budget-db", type=float, default=BUDGET, help="largest loss in dB (%(default)s)")
    options.add_argument("names", nargs="*", default=list(DATA), help="weights (%(default)s)")
    asked = options.parse_args()
    for name in asked.names:
        model, tag = name.split(":")
        entry, data = load_manifest().find_bundled(model, tag), DATA[name]
        path, text = ROOT / "restorekit" / "weights" / f"{model}-{tag}-int8.onnx", ""
        folder = getattr(asked, data)
        try:
            loss = quantize(path, data=folder, model=model, weights=tag, scale=entry.scale, budget_db=asked.budget_db)
            text = table(path, data, loss)
            print(f"{name} {loss}.")
        except RestorekitError as error:
            path.unlink(missing_ok=True)
            print(f"{name}: {error.reason}")
        manifest = MANIFEST.read_text(encoding="utf-8")
        MANIFEST.write_text(with_table(manifest, entry, text), encoding="utf-8")


if __name__ == "__main__":
    main()
