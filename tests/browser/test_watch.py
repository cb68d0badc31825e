"""That the watcher of these tests sees what it is there to see: a page that does everything wrong."""

from __future__ import annotations

from playwright.sync_api import Browser

from tests.browser.stack import free_port, tiny_server
from tests.browser.visitor import Visitor

PAGE = """<!doctype html>
<title>Wrong</title>
<link rel="icon" href="data:,">
<p style="color: red">Red</p>
<img src="/missing.png" onerror="document.title = 'it ran'">
<img src="http://{nobody}/x.png">
<script>document.title = 'it ran'</script>
<script src="/broken.js"></script>
"""


def test_what_is_wrong_is_noticed(chromium: Browser, policy: str) -> None:
    foreign = f"localhost:{free_port()}"
    with tiny_server(PAGE.format(nobody=foreign), Content_Security_Policy=policy) as url:
        context = chromium.new_context()
        visitor = Visitor(context, stack=None, policy=policy)
        page = visitor.open(url)
        assert page.title() == "Wrong"
        context.close()
    heard = "\n".join(visitor.complaints)
    for wrong in ("policy violated: script-src-elem inline", "style-src-attr inline", "script-src-attr inline"):
        assert wrong in heard, heard
    assert "img-src" in heard, heard


def test_errors_foreign_hosts_and_answers_are_noticed(chromium: Browser, policy: str) -> None:
    page_of_anybody = "<!doctype html><script>fetch('http://localhost:9/').catch(() => 0); nobody.home()</script>"
    with tiny_server(page_of_anybody) as url:
        context = chromium.new_context()
        visitor = Visitor(context, stack=None, policy=policy)
        with context.expect_event("requestfailed"):
            visitor.open(url)
        context.close()
    heard = "\n".join(visitor.complaints)
    for wrong in ("script: nobody is not defined", "foreign: http://localhost:9/", "failed: GET http://localhost:9/"):
        assert wrong in heard, heard
