"""report.html in a real headless browser where there is one (RESTOREKIT_BROWSER, or Chromium on the path)."""

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from restorekit.evaluation import report, summary
from restorekit.evaluation.protocol import load_protocol
from restorekit.evaluation.run import Benchmark, Request

BROWSER = os.environ.get("RESTOREKIT_BROWSER") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

# Runs before the page's own script; what it and PROBE saw ends up in the document that the browser prints.
BEFORE = """<script>
window.faults = [];
addEventListener("error", event => faults.push(String(event.message)));
addEventListener("securitypolicyviolation", event => faults.push("blocked " + event.blockedURI));
for (const name of ["error", "warn"]) console[name] = (...text) => faults.push(text.join(" "));
</script>"""
PROBE = Path(__file__).with_name("report_probe.js")


@pytest.fixture
def page(pairs: Path, tmp_path: Path) -> Path:
    (tmp_path / "mos.csv").write_text("image,method,rater,score\na,identity,1,3\na,identity,2,4\n")
    request = Request(
        load_protocol("gopro"),
        pairs,
        restored=(("</script><b>", pairs / "all/sharp"),),
        opinions=tmp_path / "mos.csv",
    )
    bench = Benchmark(request, tmp_path / "out")
    outcome = bench.run()
    return report.write(bench, outcome, summary.write(outcome, tmp_path / "out"), shown=2)


def test_the_page_is_one_file_that_asks_for_nothing(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("</script>") == text.count("<script>") == 1  # a method's name does not end the script
    assert "http://" not in text
    assert "https://" not in text
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text)
    content = re.search(r"const D = (\{.*\});", text)
    assert content is not None
    found = json.loads(content[1])
    assert len(found["examples"]) == 2
    names = [layer["name"] for layer in found["examples"][0]["layers"]]
    assert names == ["input", "unsharp-mask", "wiener", "richardson-lucy", "</script><b>", "sharp"]
    assert all(one["kernel"].startswith("data:image/webp") for one in found["examples"])


def opened(page: Path, width: int) -> dict[str, Any]:
    assert BROWSER is not None
    probe = f"<script>{PROBE.read_text(encoding='utf-8')}</script></body>"
    text = page.read_text(encoding="utf-8").replace("<main", BEFORE + "<main").replace("</body>", probe)
    probed = page.with_name("probed.html")
    probed.write_text(text, encoding="utf-8")
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom")
    home = f"--user-data-dir={page.parent / 'browser'}"
    command = [BROWSER, *flags, home, f"--window-size={width},900", probed.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    match = re.search(r'<pre id="seen">([^<]+)</pre>', done.stdout)
    assert match is not None, done.stdout[-2000:]
    return dict(json.loads(base64.b64decode(match[1])))


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [1280, 500])
def test_the_page_works_in_a_browser(page: Path, width: int) -> None:
    seen = opened(page, width)
    assert seen["faults"] == []
    assert seen["requests"] == []
    assert seen["drawn"]
    assert seen["clip"] == ["inset(0px 0px 0px 50%)", "inset(0px 0px 0px 20%)"]

    def numbers(texts: list[str]) -> list[float]:
        return [float(text) for text in texts if text]

    assert "srn" in seen["methods"]
    assert numbers(seen["down"]) == sorted(numbers(seen["down"]), reverse=True)
    assert numbers(seen["up"]) == sorted(numbers(seen["up"]))
    assert "inf" in seen["down"][0]
    assert "scale(4)" in seen["zoom"]
    assert re.search(r"scale\((5|6|7|8|9|10|11|12)", seen["wheel"])
    assert seen["heat"]
    assert seen["example"]
    assert seen["width"][1] <= seen["width"][0]  # tables scroll in their own boxes, the page does not
