"""How does the interface bear 500 models? `python bench/many_models.py [--models 500] [--pages models,ports,...]`

A ClaraCore with so many models, whose files have real headers (sparse: some MB on the disk), and a Chromium. Of each
page: elements, for how long the page's thread was blocked (long tasks, as `performance` tells them) and its processor
time, and, where there is a filter or a field that chooses a model, how long a keystroke takes until its frame is drawn:
the text is typed, then deleted letter by letter. Nothing is loaded. Goals: less than 50 ms a keystroke, and elements
that do not grow with the models.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from playwright.sync_api import Page, sync_playwright

from fakes.ports import free_run
from ui.conftest import CHROMIUM, FLAGS
from ui.many import configuration
from ui.stand import serving

PAGES = ("models", "chat", "ports", "activity", "logs", "config", "setup", "system")
FILTER = "main :is(input[role=combobox], input[type=search])"
"""Of a page the first: the filter of the models, and the field that chooses one in the chat, the logs, the activity."""
TYPED = "qwen 14b q8"
HEAD = """\
| page | elements | blocked ms | thread ms | keystroke by the clock, ms: mean / worst | of the processor, ms |
|---|---|---|---|---|---|"""
WATCH = """window.blocked = [];
new PerformanceObserver((list) => window.blocked.push(...list.getEntries().map((entry) => entry.duration)))
  .observe({ type: 'longtask', buffered: true });"""
QUIET = """(quiet) => new Promise((resolve) => {
  let timer = setTimeout(resolve, quiet);
  new PerformanceObserver(() => { clearTimeout(timer); timer = setTimeout(resolve, quiet); })
    .observe({ type: 'longtask' });
})"""
"""Resolves once no task was long for so many milliseconds."""
KEYSTROKE = """([selector, text]) => new Promise((resolve) => {
  const field = document.querySelector(selector);
  const began = performance.now();
  field.value = text;
  field.dispatchEvent(new InputEvent('input', { bubbles: true }));
  requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
})"""
"""From the keystroke until the frame after it has been drawn: layout and paint are part of it."""


class Thread:
    """The page's thread, by its processor time: on a machine with other work the clock says little."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def milliseconds(self) -> float:
        """Return what it has taken so far."""
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


def typed(page: Page, thread: Thread) -> tuple[list[float], list[float]]:
    """Type into the filter and delete again; return milliseconds of each keystroke: by the clock, of the processor."""
    texts = [TYPED[:end] for end in (*range(1, len(TYPED) + 1), *reversed(range(len(TYPED))))]
    clock, processor = [], []
    for text in texts:
        before = thread.milliseconds()
        clock.append(page.evaluate(KEYSTROKE, [FILTER, text]))
        processor.append(thread.milliseconds() - before)
    return clock, processor


def measure(page: Page, url: str, name: str) -> str:
    """Return a row of the table."""
    thread = Thread(page)
    page.goto(f"{url}/ui/{name}")
    page.get_by_role("main").get_by_role("heading", level=1).wait_for()
    page.evaluate(QUIET, 2000)
    used = thread.milliseconds()
    nodes = page.evaluate("document.getElementsByTagName('*').length")
    blocked = page.evaluate("window.blocked")
    row = f"| {name} | {nodes} | {sum(blocked):.0f} | {used:.0f} |"
    if not page.locator(FILTER).count():
        return f"{row} - | - |"
    return f"{row} {' | '.join(f'{mean(each):.0f} / {max(each):.0f}' for each in typed(page, thread))} |"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--pages", default=",".join(PAGES))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        text = configuration(Path(folder), chosen.models, start_port=free_run(chosen.models + 8).start)
        with serving(Path(folder), text) as server:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            print(HEAD)
            for name in chosen.pages.split(","):
                page = browser.new_page(viewport={"width": 1360, "height": 860})
                page.add_init_script(WATCH)
                print(measure(page, server.url, name), flush=True)
                page.close()
            browser.close()


if __name__ == "__main__":
    main()
