"""Open a page in a real headless browser where there is one (RESTOREKIT_BROWSER, or Chromium on the path)."""

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

BROWSER = os.environ.get("RESTOREKIT_BROWSER") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

# Runs before the page's own script; what it and the probe saw ends up in the document that the browser prints.
BEFORE = """<script>
window.faults = [];
addEventListener("error", event => faults.push(String(event.message)));
addEventListener("securitypolicyviolation", event => faults.push("blocked " + event.blockedURI));
for (const name of ["error", "warn"]) console[name] = (...text) => faults.push(text.join(" "));
</script>"""


def opened(page: Path, probe: Path, width: int = 1280) -> dict[str, Any]:
    """What a script saw that used the page."""
    assert BROWSER is not None
    script = f"<script>{probe.read_text(encoding='utf-8')}</script></body>"
    text = page.read_text(encoding="utf-8").replace("<body>", "<body>" + BEFORE).replace("</body>", script)
    probed = page.with_name("probed.html")
    probed.write_text(text, encoding="utf-8")
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom")
    home = f"--user-data-dir={page.parent / 'browser'}"
    command = [BROWSER, *flags, home, f"--window-size={width},900", probed.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    match = re.search(r'<pre id="seen">([^<]+)</pre>', done.stdout)
    assert match is not None, done.stdout[-2000:]
    return dict(json.loads(base64.b64decode(match[1])))
