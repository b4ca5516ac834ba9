"""rating-sheet.html: raters score restored images one by one, without knowing what made them.

Absolute category rating (ITU-T P.910; the SR paper, section 3.2.3): every image alone, five categories, an order of its own
for every rater. The page is one file that works without a network; what it saves is read by `opinions.read_opinions`.
"""

from pathlib import Path

from restorekit.evaluation.kept import drawing, embed, fill_template, read_kept
from restorekit.evaluation.opinions import blind_name
from restorekit.runtime.atomic import write_atomically

RATING_SHEET = "rating-sheet.html"
TEMPLATE = Path(__file__).parent / RATING_SHEET


def write_rating_sheet(out: Path) -> Path:
    """Write the sheet for the images that the report of a benchmark shows.

    Args:
        out: the benchmark's results' folder.

    Returns:
        Path of the sheet.

    Raises:
        UsageError: results.json or an image that it names is missing, damaged, or of another version.
        UnwritableOutput: the sheet cannot be written.
    """
    with drawing(out) as results:
        methods = {method["name"] for method in results["methods"]}
        stimuli = []
        for example in results["examples"]:
            for layer in example["layers"]:
                method = "identity" if layer["name"] == "input" else layer["name"]
                if method in methods:
                    # Whole and without loss: the embedding must not be what is rated.
                    image = embed(read_kept(out, layer["file"]), lossless=True)
                    name = blind_name(example["item"], method)
                    stimuli.append({"item": example["item"], "name": name, "image": image})
        # By the blind names: the page must not tell by its order what they stand for.
        stimuli.sort(key=lambda stimulus: stimulus["name"])
        write_atomically(out / RATING_SHEET, fill_template(TEMPLATE, stimuli))
    return out / RATING_SHEET
