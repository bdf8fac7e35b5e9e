# SPDX-License-Identifier: BSD-2-Clause
#
# The page "/" of a real daemon in a real browser, as a person sees it while a primary is up, away
# and back: what it says, on a phone and on a desk, in light and dark. Screenshots are kept next to
# the daemon's folder.

import re
import urllib.request

import pytest

from peers.browser import Browser
from peers.waiting import eventually, free_port

PHONE, DESK = 390, 1280
LONG = "donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunter.beamtengesellschaft.test"

# Contrast of each text with what is behind it, by WCAG 2; the worst first.
CONTRASTS = """
const numbers = (css) => css.match(/[0-9.]+/g).map(Number);
const light = (css) => numbers(css).slice(0, 3).map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
        const css = getComputedStyle(e).backgroundColor, parts = numbers(css);
        if (parts.length < 4 || parts[3] === 1) return css;
    }
    return 'rgb(255, 255, 255)';
};
const ratio = (one, other) => {
    const [a, b] = [light(one), light(other)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
};
const found = [];
for (const element of document.body.querySelectorAll('*')) {
    const style = getComputedStyle(element);
    if (element.closest('svg')) {
        if (element.matches('rect.good, rect.bad, rect.warn, rect.idle'))
            found.push([ratio(style.fill, behind(element.closest('svg').parentElement)) * 1.5,
                        element.outerHTML]);
    } else if ([...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) {
        found.push([ratio(style.color, behind(element)), element.outerHTML]);
    }
}
return found.sort((a, b) => a[0] - b[0]);
"""

# Elements that stick out of the page to the right.
TOO_WIDE = """
const width = document.documentElement.clientWidth;
return [...document.body.querySelectorAll('*')]
    .filter((e) => e.getBoundingClientRect().right > width + 1)
    .map((e) => e.outerHTML.slice(0, 200));
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def site(lab):
    """A daemon with a page, and the page's address."""
    def start(*ini, **more):
        port = free_port()
        daemon = lab.daemon({"http": {"listen": "127.0.0.1:%d" % port}}, *ini, **more)
        return daemon, "http://127.0.0.1:%d/" % port
    return start


def check_view(browser, url, where):
    """What holds of the page at any time, at this width and in these colours."""
    browser.open(url)
    scroll, client = browser.run(
        "const e = document.documentElement; return [e.scrollWidth, e.clientWidth];")
    assert scroll <= client, where
    assert browser.run(TOO_WIDE) == [], where
    assert set(browser.requests()) == {url}, where
    assert browser.console() == [], where
    worst, what = browser.run(CONTRASTS)[0]
    assert worst >= 4.5, (where, worst, what)
    return browser.run("return getComputedStyle(document.body).backgroundColor;")


def check_views(browser, url, folder, name):
    """All of them, with a screenshot of each; the browser stays at the desk, in light."""
    for width in (PHONE, DESK):
        browser.resize(width)
        colours = set()
        for scheme in ("dark", "light"):
            browser.prefer(scheme)
            where = "%s-%d-%s" % (name, width, scheme)
            colours.add(check_view(browser, url, where))
            browser.screenshot(folder / (where + ".png"))
        assert len(colours) == 2, "dark mode changes nothing"


def card(browser, domain):
    """The text of a domain's card."""
    found, = [text for text in browser.texts(".card") if text.startswith(domain)]
    return found


def url_says(url, words):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return words in answer.read().decode()


def test_up_outage_after(lab, site, browser, tmp_path):
    primary = lab.primary("example.test", recipients={"alice": "250 ok"})
    lab.primary("other.test")
    lab.primary(LONG)
    daemon, url = site({"policy": {"recovery_grace": "1h"}},
                       domains=["example.test", "other.test", LONG])
    for domain in ("example.test", "other.test", LONG):
        daemon.wait_for_state(domain, "up")
    daemon.learn("alice@example.test")
    eventually(lambda: url_says(url, ": up</title>"), 20)

    check_views(browser, url, tmp_path, "up")
    assert browser.text("h1") == "All primaries are up"
    assert browser.title().startswith("All primaries are up")
    assert re.search(r"No outage was seen (today|in the last 2 days)\.", browser.text(".verdict"))
    assert [text.split()[0] for text in browser.texts(".card h3")] == [
        LONG, "example.test", "other.test"]
    assert primary.endpoint + " up" in card(browser, "example.test")
    assert "1 known" in card(browser, "example.test")

    primary.stop()
    daemon.wait_for_state("example.test", "down")
    daemon.milter().send_message(rcpts=["<alice@example.test>"])
    eventually(lambda: daemon.status("example.test")["counters"]["mails_since_down"] == 1)
    eventually(lambda: url_says(url, "not over"), 20)
    check_views(browser, url, tmp_path, "outage")
    assert browser.text("h1") == "example.test is down"
    assert browser.title().startswith("example.test is down")
    assert re.search(r"Since (\d+ \w+, )?\d\d:\d\d UTC, (just now|\d+ (s|min) ago)\.",
                     browser.text(".verdict"))
    assert browser.texts(".card h3")[0] == "example.test"
    shown = card(browser, "example.test")
    assert re.match(r"example\.test down Since .* The primary refuses connections\.", shown)
    assert primary.endpoint + " down, refuses connections" in shown
    assert "1 mail taken since it went down" in shown
    outage, = browser.texts(".outages tbody tr")
    assert re.match(r"example\.test down .*not over refuses connections \d+ s 1 0 ", outage)
    assert "primary is down, recipient is known 1" in browser.text(".action.accept")

    primary.start()
    daemon.wait_for_state("example.test", "up")
    eventually(lambda: not url_says(url, "not over"), 20)
    check_views(browser, url, tmp_path, "after")
    assert browser.text("h1") == "All primaries are up"
    assert re.search(r"The last outage, of example\.test, ended (just now|\d+ (s|min) ago)",
                     browser.text(".verdict"))
    assert card(browser, "example.test").startswith("example.test up, recovering")
    assert "not over" not in browser.text(".outages")


def test_what_assistive_technology_finds(lab, site, browser):
    """One heading of the first rank, no picture without words, a language, labelled columns."""
    lab.primary("example.test").stop()
    daemon, url = site(domains=["example.test"])
    daemon.wait_for_state("example.test", "down")
    browser.resize(DESK)
    eventually(lambda: url_says(url, "<tbody>") and url_says(url, "away for"), 20)
    browser.open(url)
    assert browser.run("return document.documentElement.lang;") == "en"
    assert browser.run("return document.compatMode;") == "CSS1Compat"
    assert len(browser.texts("h1")) == 1
    assert browser.run("return [...document.querySelectorAll('svg')].filter((e) => "
                       "e.getAttribute('aria-hidden') !== 'true' && !(e.getAttribute('role') "
                       "=== 'img' && e.getAttribute('aria-label'))).length;") == 0
    assert browser.run("return [...document.querySelectorAll('th')].filter((e) => "
                       "!e.getAttribute('scope')).length;") == 0
    days = browser.run("return [...document.querySelectorAll('.days rect title')]"
                       ".map((e) => e.textContent);")
    assert len(days) == 90
    assert days[0].endswith("not observed") and "away for" in days[-1]
    assert browser.run("return document.querySelectorAll('script').length;") == 0
    assert browser.run("return [...document.querySelectorAll('*')].flatMap((e) => "
                       "[...e.attributes]).filter((a) => /^on|^style$/.test(a.name)).length;") == 0


def test_forced_by_the_administrator(lab, site, browser):
    lab.primary("example.test")
    daemon, url = site(domains=["example.test"])
    daemon.wait_for_state("example.test", "up")
    assert daemon.ctl("force", "example.test", "down", "--for", "1h")[0] == 0
    browser.prefer("light")
    browser.open(url)
    assert browser.text("h1") == "example.test is forced down"
    assert re.search(r"Forced by the administrator until (\d+ \w+, )?\d\d:\d\d UTC\.",
                     card(browser, "example.test"))


def test_on_paper(lab, site, browser, tmp_path):
    """Dark text on white, whatever the screen prefers."""
    lab.primary("example.test")
    daemon, url = site(domains=["example.test"])
    daemon.wait_for_state("example.test", "up")
    browser.resize(DESK)
    browser.prefer("dark", "print")
    browser.open(url)
    browser.screenshot(tmp_path / "paper.png")
    assert browser.run("return getComputedStyle(document.body).backgroundColor;") \
        == "rgb(255, 255, 255)"
    assert browser.run(CONTRASTS)[0][0] >= 4.5


def test_shadow_mode(lab, site, browser):
    lab.primary("example.test")
    daemon, url = site({"milter": {"mode": "shadow"}}, domains=["example.test"])
    daemon.wait_for_state("example.test", "up")
    browser.prefer("light")
    browser.open(url)
    assert browser.text(".notice").startswith("Shadow mode.")


def test_more_domains_than_are_shown(site, browser):
    """They are counted, and the page has the history of those it shows."""
    daemon, url = site(domains=["d%03d.test" % i for i in range(130)])
    for i in (0, 129):
        daemon.wait_for_state("d%03d.test" % i, "not-backup")
    eventually(lambda: url_says(url, "class='days'"), 20)
    browser.open(url)
    assert len(browser.run("return [...document.querySelectorAll('.card .days')]"
                           ".map((e) => 1);")) == 100
    assert browser.text(".more").startswith("30 more domains are not shown here")


def test_headers(lab, site):
    """Nothing may be loaded or run, nor may the page be framed; it comes anew each minute."""
    lab.primary("example.test")
    _, url = site(domains=["example.test"])
    with urllib.request.urlopen(url, timeout=10) as answer:
        policy = answer.headers["Content-Security-Policy"]
        body = answer.read().decode()
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert re.match(r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; ", policy)
    assert "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert "<meta http-equiv='refresh' content='60'>" in body
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", body)
