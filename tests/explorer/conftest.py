"""A browser for the page's own tests: named by LISTCOMP_BROWSER, found on the path, playwright's.

Where there is none the tests skip, or fail when LISTCOMP_NEEDS_BROWSER=1 is set, as CI does.
"""

import os
import shutil
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def missing(reason):
    if os.environ.get("LISTCOMP_NEEDS_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


# Not of the session: playwright keeps an event loop running, which notebooks' tests would meet.
@pytest.fixture(scope="module")
def browser():
    """Chromium or Chrome, headless."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed")
    with sync_playwright() as playwright:
        found = os.environ.get("LISTCOMP_BROWSER") or next(
            filter(None, map(shutil.which, BROWSERS)), None
        )
        found = found or playwright.chromium.executable_path
        if not Path(found).is_file():
            missing("no Chromium or Chrome here: set LISTCOMP_BROWSER to one")
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser):
    """A function that opens a page from disk and waits until it is ready; errors fail the test."""
    errors, contexts = [], []

    def open_page(path, address="", width=1000):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}))
        page = contexts[-1].new_page()
        page.on("console", lambda said: said.type == "error" and errors.append(said.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith("http") and errors.append(asked.url))
        page.goto(Path(path).resolve().as_uri() + address)
        page.wait_for_selector("html[data-ready=true]", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
