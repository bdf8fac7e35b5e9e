# SPDX-License-Identifier: BSD-2-Clause
#
# A headless Chromium, driven as a user would drive it, over chromedriver's plain HTTP protocol
# (W3C WebDriver). What it asked the network for and what it said on its console is kept.

import base64
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import urllib.request

from .waiting import eventually, free_port

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"     # as the protocol names an element


def chromium():
    """The real program: a wrapper of the distribution may want a desktop around it."""
    for path in ("/usr/lib/chromium/chromium", shutil.which("chromium")):
        if path and os.access(path, os.X_OK):
            return path
    raise AssertionError("no chromium: packaging/install-packages test")


class Browser:
    def __init__(self, folder):
        """Its profile and its log are in `folder`."""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        driver = shutil.which("chromedriver")
        assert driver, "no chromedriver: packaging/install-packages test"
        port = free_port()
        self.base = "http://127.0.0.1:%d" % port
        # the browser looks for names of this host's desktop and proxies otherwise
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8",
                       "TMPDIR": str(self.folder), "no_proxy": "*"}
        self.process = subprocess.Popen(
            [driver, "--port=%d" % port, "--log-path=%s" % (self.folder / "driver.log")],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        self.session = None
        try:
            eventually(self._is_ready, 30)
            self.session = "/session/" + self._begin()
            self.open("about:blank")
            self.requests()         # its own first page is left now: nothing of that counts
            self.console()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.session:
            with contextlib.suppress(OSError):
                self._ask("DELETE", self.session)
        self.process.terminate()
        self.process.wait(10)

    # -- the protocol

    def _ask(self, method, path, body=None):
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.base + path, data=data, method=method,
                                         headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError("%s %s: %s" % (method, path, error.read()[:2000])) from None

    def _is_ready(self):
        try:
            return self._ask("GET", "/status")["ready"]
        except OSError:
            return False

    def _begin(self):
        options = {"binary": chromium(), "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--disable-sync",
            "--disable-component-update", "--disable-default-apps", "--no-proxy-server",
            "--hide-scrollbars", "--user-data-dir=%s" % (self.folder / "profile")],
            "perfLoggingPrefs": {"enableNetwork": True, "enablePage": False}}
        return self._ask("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}})["sessionId"]

    def _devtools(self, command, **parameters):
        return self._ask("POST", self.session + "/goog/cdp/execute",
                         {"cmd": command, "params": parameters})

    # -- what a user does

    def open(self, url):
        self._ask("POST", self.session + "/url", {"url": url})

    def resize(self, width, height=900):
        """The page gets a screen of that width, narrower than a window may be if need be."""
        self._devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                       deviceScaleFactor=1, mobile=width < 500)

    def prefer(self, scheme, media=""):
        """`scheme` is light or dark, `media` screen ("") or print."""
        self._devtools("Emulation.setEmulatedMedia", media=media,
                       features=[{"name": "prefers-color-scheme", "value": scheme}])

    def run(self, script, *arguments):
        """The value that a script returns. It is for looking: the page itself has none."""
        return self._ask("POST", self.session + "/execute/sync",
                         {"script": script, "args": list(arguments)})

    def title(self):
        return self._ask("GET", self.session + "/title")

    def _elements(self, selector):
        return [found[ELEMENT] for found in self._ask(
            "POST", self.session + "/elements", {"using": "css selector", "value": selector})]

    def texts(self, selector):
        """The texts of all elements of a CSS selector, as rendered; no-break spaces are spaces."""
        return [re.sub(r"\s+", " ", self._ask(
            "GET", "%s/element/%s/text" % (self.session, element))).strip()
            for element in self._elements(selector)]

    def text(self, selector):
        found, = self.texts(selector)
        return found

    def screenshot(self, path):
        """The whole page, not just what fits the window."""
        size = self.run("const e = document.documentElement; "
                        "return [e.clientWidth, e.scrollHeight];")
        picture = self._devtools("Page.captureScreenshot", captureBeyondViewport=True, clip={
            "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1})
        pathlib.Path(path).write_bytes(base64.b64decode(picture["data"]))

    # -- what it did meanwhile; each is told once

    def requests(self):
        """The addresses it asked for since the last time, data: left out."""
        found = []
        for entry in self._ask("POST", self.session + "/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return [url for url in found if not url.startswith("data:")]

    def console(self):
        return [entry["message"] for entry in
                self._ask("POST", self.session + "/se/log", {"type": "browser"})]
