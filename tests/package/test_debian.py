# SPDX-License-Identifier: BSD-2-Clause
#
# The life of the Debian package on a clean system with Postfix: installed, Postfix configured by
# the five lines of README.md and nothing else, the daemon run as its unit says, an outage, an
# upgrade, removed, purged. One story: each test goes on where the one before it ended.

import json
import pathlib
import re
import shutil
import subprocess

import pytest

from clean_root import CleanRoot
from lab import network
from lab.dns import RECORDS, Dns
from lab.host import Host, run_quietly
from lab.postfix import MailboxPostfix
from lab.smtp_client import SmtpSession
from peers.waiting import eventually
from service import UNIT, Service

TOP = pathlib.Path(__file__).resolve().parents[2]
DOMAIN = "example.test"
ALICE = f"alice@{DOMAIN}"
NAME = "mx2.example.test"
ADDRESS = "192.0.2.20"
HOSTS = {"dns": "dns.test", "primary": "mx1.example.test", "backup": NAME, "client": "client.test"}
INI = "etc/backupmx-milter/backupmx.ini"
# What the administrator changes: an outage takes seconds.
QUICK = """
# ours
[probe]
interval = 2s
fast_interval = 1s
down_interval = 1s
connect_timeout = 2s
timeout = 5s
[policy]
recovery_grace = 1s
"""


class System:
    """The clean root as the backup's host, and the peers around it."""

    def __init__(self, folder, package):
        self.package = package
        self.hosts = [Host(folder, "switch")]
        try:
            self.hosts += [Host(folder, name, fqdn) for name, fqdn in HOSTS.items()]
            self._bring_up(folder)
        except BaseException:
            self.close()
            raise

    def _bring_up(self, folder):
        switch, dns, primary, backup, self.client = self.hosts
        for host in self.hosts:
            host.wait_up()
        network.connect(switch, self.hosts[1:])
        for host in self.hosts[1:]:
            host.write("/etc/resolv.conf", "nameserver 192.0.2.53\n")
        self.dns = Dns(dns, RECORDS)
        self.dns.start()
        self.primary = MailboxPostfix(primary, [DOMAIN])
        self.primary.start()
        (folder / "root").mkdir()
        self.root = CleanRoot(folder / "root", backup, ADDRESS, self.package)
        self.root.path("etc/resolv.conf").unlink()
        self.root.path("etc/resolv.conf").write_text("nameserver 192.0.2.53\n")
        self.service = Service(self.root)
        self.dns.wait_up()
        self.primary.wait_up()

    def close(self):
        for host in reversed(self.hosts):
            host.close()

    def users(self):
        return [self.root.path(f"etc/{name}").read_text() for name in ("passwd", "group", "shadow")]

    def ctl(self, *arguments):
        # Its exit status tells of states too.
        return json.loads(self.root.run("backupmxctl", "--json", *arguments, check=False).stdout)

    def recipient(self, address=ALICE):
        return self.ctl("explain", "--client", "192.0.2.30", address)["recipient"]

    def state(self):
        return next((domain["state"] for domain in self.ctl("status", DOMAIN)["domains"]), None)

    def wait_for_state(self, state):
        eventually(lambda: self.state() == state, 60,
                   lambda: f"{DOMAIN} is {state}\n{self.service.log()}", pause=0.2)

    def rcpt(self, address=ALICE):
        with SmtpSession(self.client, ADDRESS) as session:
            return session.ask(address).text

    def wait_for_rcpt(self, start, address=ALICE):
        seen = []

        def same():
            seen.append(self.rcpt(address))
            return seen[-1].startswith(start)
        eventually(same, 60, lambda: f"{start}, got {seen[-1]}\n{self.service.log()}", pause=0.5)

    def dpkg(self, form):
        """What dpkg knows of the package; empty when it knows nothing."""
        return self.root.run("dpkg-query", "-W", "-f", form, "backupmx-milter", check=False).stdout


@pytest.fixture(scope="module")
def package(packages):
    found = sorted((packages / "deb").glob("backupmx-milter_*.deb"))
    assert found, f"no package in {packages}/deb: packaging/build-deb {packages}/deb"
    return found[-1]


@pytest.fixture(scope="module")
def system(tmp_path_factory, package):
    folder = tmp_path_factory.mktemp("system")
    for path in (folder, folder.parent, folder.parent.parent):
        path.chmod(0o755)   # daemons of other users have their files below
    system = System(folder, package)
    try:
        system.before = system.root.files()
        system.users_before = system.users()
        yield system
    finally:
        system.close()
        shutil.rmtree(folder, ignore_errors=True)


def five_lines():
    """The lines of README.md, with our domain for its."""
    section = (TOP / "README.md").read_text().partition("## Postfix in five lines\n")[2]
    lines = re.findall(r"^    (.+)\n", section.partition("\n`sudo")[0], re.M)
    assert len(lines) == 5
    return [line.replace("example.org", DOMAIN) for line in lines]


def test_lintian_has_no_complaint(package):
    changes, = package.parent.glob("*.changes")
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", changes],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_installs(system):
    system.root.apt("install", system.root.add_package(system.package))
    assert system.dpkg("${Status} ${Conffiles}").startswith(f"install ok installed  /{INI} ")
    assert system.root.run("dpkg", "--verify", "backupmx-milter") == ""
    assert system.root.run("backupmx-milter", "-t") == ""
    user = system.root.run("id", "-un", "backupmx-milter").strip()
    state = system.root.run("stat", "-c", "%U:%G %a", "/var/lib/backupmx-milter").strip()
    assert (user, state) == ("backupmx-milter", "backupmx-milter:backupmx-milter 750")
    passwd = system.root.run("getent", "passwd", "backupmx-milter").strip()
    assert passwd.endswith(":/var/lib/backupmx-milter:/usr/sbin/nologin")
    assert not system.root.host.processes("backupmx")


def test_while_the_primary_is_up_clients_are_sent_there(system):
    with open(system.root.path("etc/postfix/main.cf"), "a", encoding="utf-8") as file:
        file.write("\n".join(["", *five_lines(), ""]))
    system.service.start()
    system.root.run("/etc/init.d/postfix", "start")
    eventually(lambda: system.root.host.accepts(25, ADDRESS), 30, "Postfix accepts", pause=0.2)
    system.wait_for_rcpt("451 4.3.2 ")
    eventually(lambda: system.recipient() == "valid", 60, system.service.log, pause=0.5)
    system.wait_for_rcpt("550 5.1.1 ", f"nobody-there@{DOMAIN}")


def test_the_sandbox_of_the_unit_is_on(system):
    """The mail of this module flows through a daemon that is locked up like this."""
    pid = system.service.pid()
    status = dict(re.findall(r"^(\w+):\t(.*)$", pathlib.Path(f"/proc/{pid}/status").read_text(),
                             re.M))
    owner = system.root.path("var/lib/backupmx-milter").stat()
    assert status["Uid"].split() == [str(owner.st_uid)] * 4
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    capabilities = {value for name, value in status.items() if name.startswith("Cap")}
    assert capabilities == {"0" * 16}
    inside = ["nsenter", "--mount", f"--target={pid}", f"--root=/proc/{pid}/root", "--wd=/",
              "sh", "-c"]
    for folder, writable in (("/etc/backupmx-milter", False), ("/usr/sbin", False),
                             ("/var/spool/postfix", False), ("/var/lib/backupmx-milter", True),
                             ("/run/backupmx-milter", True), ("/tmp", True)):
        done = subprocess.run([*inside, f": >{folder}/x && rm {folder}/x"], capture_output=True,
                              text=True, check=False)
        assert (done.returncode == 0) == writable, (folder, done.stderr)
        assert writable or "Read-only file system" in done.stderr
    assert run_quietly([*inside, "ls -A /home /root /proc/sys 2>/dev/null || :"]).split() == [
        "/home:", "/root:"]


def test_in_an_outage_known_recipients_mail_is_taken(system):
    with open(system.root.path(INI), "a", encoding="utf-8") as file:
        file.write(QUICK)
    system.service.reload()
    system.primary.stop()
    system.wait_for_state("down")
    with SmtpSession(system.client, ADDRESS) as session:
        assert session.send(ALICE, "while it was away").accepted, session.transcript()
    assert system.rcpt(f"never-seen@{DOMAIN}").startswith("451 4.4.1 ")
    eventually(lambda: "deferred" in system.root.run("postqueue", "-j"), 60,
               system.service.log, pause=0.5)


def test_when_it_is_back_the_queue_is_delivered_by_etrn(system):
    """Postfix itself would try again after five minutes."""
    system.primary.start()
    system.primary.wait_up()
    delivered = eventually(lambda: system.primary.deliveries(ALICE), 90, system.service.log,
                           pause=0.5)
    head = re.sub(r"\n\s+", " ", delivered[0].text.partition("\n\n")[0])
    assert re.search(r"^Backup-MX-Status: accepted; by=mx2\.example\.test; primary=down; "
                     r"since=\S+; recipients=valid; reason=primary-down; ", head, re.M)
    assert "while it was away" in head
    assert re.search(rf"flush: domain={DOMAIN} method=etrn reply=250 mails=1$",
                     system.service.log(), re.M)
    system.wait_for_state("up")


def newer(package, folder):
    """The same with a higher number, and another ini file of the maintainer's."""
    tree = folder / "newer"
    run_quietly(["dpkg-deb", "-R", package, tree])
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", "Version: 99.0-1", control.read_text(),
                              flags=re.M))
    (tree / INI).write_text((tree / INI).read_text() + "\n# another end\n")
    run_quietly(["dpkg-deb", "--root-owner-group", "-b", tree, folder / "newer.deb"])
    return folder / "newer.deb"


def test_upgrade_keeps_configuration_and_memory(system, tmp_path):
    ours = system.root.path(INI).read_text()
    system.service.stop()
    newer_package = newer(system.package, tmp_path)
    system.root.apt("install", system.root.add_package(newer_package))
    assert system.dpkg("${Status} ${Version}") == "install ok installed 99.0-1"
    assert system.root.path(INI).read_text() == ours
    assert system.root.path(f"{INI}.dpkg-dist").read_text().endswith("# another end\n")
    # nobody can be asked now: what it knows, it knew
    system.primary.stop()
    system.service.start()
    assert system.recipient() == "valid"
    system.wait_for_rcpt("250 ")
    system.primary.start()
    system.wait_for_rcpt("451 4.3.2 ")


def test_remove_keeps_configuration_and_memory(system):
    ours = system.root.path(INI).read_text()
    system.service.stop()
    system.root.run("/etc/init.d/postfix", "stop")
    system.root.apt("remove", "backupmx-milter")
    assert not system.root.path("usr/sbin/backupmx-milter").exists()
    assert not system.root.path(UNIT).exists()
    assert system.root.path(INI).read_text() == ours
    assert system.root.path("var/lib/backupmx-milter/backupmx.mdb").stat().st_size
    assert "backupmx-milter:" in system.root.path("etc/passwd").read_text()


def test_purge_leaves_nothing(system):
    system.root.apt("purge", "--auto-remove", "backupmx-milter")
    assert system.dpkg("${Status}") == ""
    assert system.users() == system.users_before
    after = system.root.files()
    new = {path for path in after if path not in system.before and not path.startswith((
        "var/spool/postfix/", "var/lib/postfix/", "run/"))}
    assert not new
    assert not [path for path in after if "backupmx" in path]
    gone = [path for path in system.before if path not in after]
    assert not [path for path in gone if not path.startswith(("var/spool/postfix/", "run/"))]
