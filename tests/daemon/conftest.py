# SPDX-License-Identifier: BSD-2-Clause
#
# What all tests of this tier share: a lab of peers on loopback (DNS server, scripted primaries,
# one SMTP port) and daemons with short intervals. No root, no real MTA, no network.

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from peers.certificates import Authority                                    # noqa: E402
from peers.daemon import Daemon, fast_time, is_sanitized, merged, program   # noqa: E402
from peers.dns_server import DnsServer                                      # noqa: E402
from peers.smtp_server import Blackhole, SmtpServer                         # noqa: E402
from peers.waiting import free_port, next_address               # noqa: E402

OUR_NAME = "mx2.example.net"


def pytest_collection_finish(session):
    """Without the programs there is nothing to test: say so once, and fail."""
    if session.config.option.collectonly:
        return
    missing = [name for name in ("backupmx-milter", "backupmxctl")
               if not os.access(program(name), os.X_OK)]
    if missing:
        raise pytest.UsageError("not built: %s (BACKUPMX_BUILD says where)" % ", ".join(missing))


def pytest_configure(config):
    config.addinivalue_line("markers", "unsanitized: can't be had from a build with a sanitizer")


def pytest_collection_modifyitems(config, items):
    """A sanitizer and libfaketime can't both come first in a process, and what LMDB makes of
    garbage is a report: such tests are for the other builds, all of which run in the same
    tests/run."""
    if not os.access(program("backupmx-milter"), os.X_OK) or not is_sanitized():
        return
    left_out = [item for item in items if "fast_daemon" in item.fixturenames
                or item.get_closest_marker("unsanitized")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
    config.left_out = left_out


def pytest_sessionfinish(session, exitstatus):
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and getattr(session.config, "left_out", 0):
        session.exitstatus = pytest.ExitCode.OK


class Lab:
    """Peers and daemons of one test or one module; `close()` ends them all and checks them."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.dns = DnsServer()
        # Our own published address: nobody listens there, nothing ever has a reason to connect.
        self.dns.host(OUR_NAME, "192.0.2.250")
        self.servers = []
        self.daemons = []
        self.others = []
        self.ini = {
            "milter": {"my_names": [OUR_NAME]},
            "probe": {"interval": "1s", "fast_interval": "1s", "down_interval": "1s",
                      "connect_timeout": "2s", "timeout": "2s", "rise": 1, "fall": 2,
                      "jitter": "0%", "port": self.port, "helo_name": OUR_NAME},
            "recipients": {"callout_rate": 1000, "callouts_per_client": 100000,
                           "callout_refusals": 100000},
            "policy": {"recovery_grace": "1s"},
            "flush": {"method": "none"},
            "dns": {"timeout": "1s"},
        }

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- peers

    def server(self, name, address=None, port=None, **script):
        """A scripted SMTP server at an address of its own, `name` resolves to it."""
        server = SmtpServer(address or next_address(), port or self.port, name=name, **script)
        self.servers.append(server)
        self.dns.host(name, server.address)
        return server

    def primary(self, domain, **script):
        """`domain` with the usual MX set, its primary mx1.`domain` first, then us."""
        server = self.server("mx1." + domain, **script)
        self.dns.mx(domain, (10, "mx1." + domain), (20, OUR_NAME))
        return server

    def blackhole(self, address):
        hole = Blackhole(address, self.port)
        self.others.append(hole)
        return hole

    # -- daemons

    def daemon(self, *ini, domains=(), folder=None, start=True, **more):
        """A daemon with the lab's short intervals. `domains` get empty [domain "x"] sections.

        `ini` are dicts of sections that add to and override the lab's.
        """
        sections = merged(self.ini, {'domain "%s"' % name: {} for name in domains}, *ini)
        daemon = Daemon(folder or self.folder / ("daemon%d" % len(self.daemons)), sections,
                        dns=self.dns, **more)
        self.daemons.append(daemon)
        if start:
            daemon.start()
        return daemon

    def close(self):
        problems = []
        for daemon in self.daemons:
            try:
                daemon.stop()
                daemon.check_log()
            except AssertionError as problem:
                problems.append(str(problem))
                daemon.destroy()
        for peer in self.servers + self.others:
            peer.close()
        self.dns.close()
        assert not problems, "\n".join(problems)


@pytest.fixture
def lab(tmp_path):
    with Lab(tmp_path) as lab:
        yield lab


@pytest.fixture
def fast_daemon(lab):
    """fast_daemon(TIMES, ini..., domains=[...]): a daemon whose time runs TIMES as fast as ours.

    Its ini and its log are in its own time; so are the lab's short intervals, which are made as
    much longer here. A hundred times as fast a stall of 10 ms is a second, which makes a probe
    prove nothing: wait for conditions, and give it generous time-outs.
    """
    def start(times, *ini, **more):
        environment = fast_time(times)
        slow = {key: "%ds" % times for key in ("interval", "fast_interval", "down_interval")}
        slow.update({key: "%ds" % (2 * times) for key in ("connect_timeout", "timeout")})
        return lab.daemon({"probe": slow, "dns": {"timeout": "%ds" % times}}, *ini,
                          environment=environment, **more)
    return start


@pytest.fixture(scope="module")
def module_lab(tmp_path_factory):
    """One lab for a whole module: tests that share it don't change what others look at."""
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))
