# SPDX-License-Identifier: BSD-2-Clause
#
# End-to-end tests: real Postfix on both sides, a real DNS server, the real daemon, in namespaces.
# A module's tests share one lab; a module that wants other settings says so in MILTER_SETTINGS, and
# in CONFIGURED_DOMAINS if other domains than those that the MTA relays are to be configured. One
# that is about one MTA only says so in MTA; all others run with Sendmail as the backup's MTA when
# the environment has BACKUPMX_LAB_MTA=sendmail.
# Single tests that one MTA can't pass are left out by NOT_FOR, and named at the end of the run.
# When a test fails, the logs of the milter and of both MTAs are shown with it.

import os
import pathlib
import sys
from contextlib import ExitStack

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lab import Lab  # noqa: E402

# {MTA: {module::test: why it makes no sense with it}}
NOT_FOR = {
    "sendmail": {
        "test_outages.py::test_outage[banner 554]":
            "nothing is taken then: test_sendmail.py has what happens instead",
    },
}

_figures = []
_left_out = []
_labs = []


@pytest.fixture(scope="module")
def lab(request):
    """The module's lab. Leaving it stops the daemon: anything but a clean end is an error."""
    with new_lab(getattr(request.module, "MILTER_SETTINGS", {}),
                 getattr(request.module, "CONFIGURED_DOMAINS", None),
                 getattr(request.module, "MTA", None)) as lab:
        yield lab


@pytest.fixture
def own_lab(request):
    """A lab for one test: own_lab() or own_lab({section: {key: value}})."""
    mta = getattr(request.module, "MTA", None)
    with ExitStack() as opened:
        yield lambda settings=None: opened.enter_context(new_lab(settings or {}, mta=mta))


def new_lab(settings, configured=None, mta=None):
    lab = Lab(milter=settings, configured=configured, mta=mta,
              keep=bool(os.environ.get("BACKUPMX_KEEP_LAB")))
    _labs.append(lab)
    return lab


@pytest.fixture
def figure():
    """figure("what", "value"): a measured figure, printed at the end of the run."""
    return lambda what, value: _figures.append(f"figure: {what}: {value}")


def pytest_configure(config):
    if os.geteuid() != 0:
        raise pytest.UsageError("the end-to-end tests make network namespaces: run them as root")


def pytest_collection_modifyitems(config, items):
    reasons = NOT_FOR.get(os.environ.get("BACKUPMX_LAB_MTA"), {})
    known = {item.nodeid.rpartition("/")[2]: item for item in items}
    modules = {item.path.name for item in items}
    for name, reason in reasons.items():
        if name in known:
            items.remove(known[name])
            config.hook.pytest_deselected(items=[known[name]])
            _left_out.append(f"left out: {name}: {reason}")
        elif name.partition("::")[0] in modules and "::" not in "".join(config.args):
            raise pytest.UsageError(f"NOT_FOR: there is no {name}")


def pytest_terminal_summary(terminalreporter):
    for line in _left_out:
        terminalreporter.write_line(line)
    for line in _figures:
        terminalreporter.write_line(line)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed and _labs and _labs[-1].is_up:
        report.sections.append(("the lab's logs", _labs[-1].evidence()))
