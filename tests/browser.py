"""A headless Chromium, driven through chromedriver by the W3C's WebDriver protocol over HTTP."""

import base64
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the standard's key of an element's id
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--no-first-run", "--disable-background-networking", "--disable-extensions")
KEYS = {"ArrowRight": "\ue014", "ArrowLeft": "\ue012", "End": "\ue010", "Home": "\ue011",
        "PageUp": "\ue00e", "Tab": "\ue004", "Enter": "\ue007"}


def missing() -> str:
    """Why there is no browser; "" where there is one."""
    absent = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    return f"not installed: {', '.join(absent)} (Debian: chromium chromium-driver)" * bool(absent)


class Browser:
    def __init__(self, session: str):
        self.session = session

    def ask(self, method: str, path: str, **body):
        answer = requests.request(method, f"{self.session}/{path}", timeout=60,
                                  json=None if method == "GET" else body)
        value = answer.json()["value"]
        assert answer.ok, value
        return value

    def open(self, page: Path) -> None:
        self.ask("POST", "url", url=page.resolve().as_uri())

    def run(self, script: str, *arguments):
        """Run a script as the body of a function; return its result."""
        return self.ask("POST", "execute/sync", script=script, args=list(arguments))

    def text(self, selector: str) -> str:
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def count(self, selector: str) -> int:
        return self.run("return document.querySelectorAll(arguments[0]).length", selector)

    def press(self, selector: str, *keys: str) -> None:
        """Focus an element and press keys; return once the page is redrawn."""
        element = self.ask("POST", "element", using="css selector", value=selector)[ELEMENT]
        words = "".join(KEYS.get(key, key) for key in keys)
        self.ask("POST", f"element/{element}/value", text=words)
        self.settle()

    def click(self, selector: str) -> None:
        element = self.ask("POST", "element", using="css selector", value=selector)[ELEMENT]
        self.ask("POST", f"element/{element}/click")
        self.settle()

    def settle(self) -> None:
        """Wait until the page is redrawn."""
        self.ask("POST", "execute/async", args=[], script=(
            "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))"))

    def media(self, **features: str) -> None:
        """Set media features as a user would, such as prefers_color_scheme="dark"."""
        found = [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]
        self.ask("POST", "goog/cdp/execute", cmd="Emulation.setEmulatedMedia",
                 params={"features": found})

    def width(self, pixels: int, height: int = 900) -> None:
        self.ask("POST", "goog/cdp/execute", cmd="Emulation.setDeviceMetricsOverride", params={
            "width": pixels, "height": height, "deviceScaleFactor": 1, "mobile": pixels < 600})

    def messages(self) -> list[str]:
        """The errors and blocked requests that the page logged."""
        return [entry["message"] for entry in self.ask("POST", "se/log", type="browser")]

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.ask("GET", "screenshot")))


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with a fresh profile in `folder`, without any network."""
    driver = subprocess.Popen([shutil.which("chromedriver"), "--port=0"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        line = next(line for line in driver.stdout if "successfully on port" in line)
        port = line.rsplit("port ", 1)[1].strip(" .\n")
        address = f"http://127.0.0.1:{port}"
        options = {"binary": shutil.which("chromium"), "args": [
            *FLAGS, f"--user-data-dir={folder}", "--host-resolver-rules=MAP * ~NOTFOUND"]}
        made = requests.post(f"{address}/session", timeout=60, json={"capabilities": {
            "alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options,
                            "goog:loggingPrefs": {"browser": "ALL"}}}}).json()["value"]
        assert "sessionId" in made, made
        session = f"{address}/session/{made['sessionId']}"
        try:
            yield Browser(session)
        finally:
            requests.delete(session, timeout=60)
    finally:
        driver.terminate()
        driver.wait()
