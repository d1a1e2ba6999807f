"""Screenshots of a page, light and dark, wide and narrow: python tools/screenshots.py report.html folder."""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

from tests.report.browser import browser, complaints, open_page

WIDTHS = (1600, 360)


def main(page: Path, out: Path) -> None:
    """Write page-WIDTH-SCHEME.png, the whole page each, and say what the console said."""
    out.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        for dark in (False, True):
            with (
                tempfile.TemporaryDirectory() as profile,
                browser(Path(profile), width, 1000, dark=dark) as driver,
            ):
                open_page(driver, page.resolve())
                size = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
                clip = {"x": 0, "y": 0, "width": width, "height": min(size["height"], 12000), "scale": 1}
                shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
                name = f"page-{width}-{'dark' if dark else 'light'}.png"
                (out / name).write_bytes(base64.b64decode(shot["data"]))
                wide = driver.execute_script("return document.documentElement.scrollWidth")
                print(name, f"{size['height']:.0f} high, content {wide} wide", complaints(driver))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
