# SPDX-License-Identifier: BSD-2-Clause
#
# What check says of the daemon's memory: who is known, the lists in use, the domains learned.

import pathlib
import re

import pytest

from lab.checking import Checker, finding

CONFIGURED_DOMAINS = ["example.test", "second.test", "six.test"]
MILTER_SETTINGS = {"domains": {"max_learned_domains": 1}}


@pytest.fixture(scope="module", name="checker")
def make_checker(lab):
    return Checker(lab.backup_host, lab.milter)


@pytest.fixture(scope="module", name="users")
def list_in_use(lab):
    """second.test has a list."""
    users = pathlib.Path(lab.milter.folder) / "users"
    users.write_text("".join(f"user{number}@second.test\n" for number in range(10)))
    lab.configure_milter({'domain "second.test"': {"recipients_file": users}})
    assert lab.milter.ctl_process("reload").returncode == 0
    return users


@finding("cold-memory", "recipients-file", "learned-domains", present=False)
def test_all_in_order(lab, checker, users):
    lab.learn("alice@example.test", "bob@example.test")
    found = checker.check("example.test", "second.test")
    assert "100 % are known" in found["cold-memory", "example.test"]["observed"]
    assert found.severity("cold-memory") == "ok"
    one = found["recipients-file", "second.test"]
    assert one["severity"] == "ok" and f"{users} is in use, with 10 entries" == one["observed"]
    # from the list; or the daemon has asked for it already
    assert re.match(r"user0@second.test \((in the recipients_file|remembered as valid)\)",
                    found["canary", "second.test"]["observed"])
    assert found["learned-domains"]["severity"] == "ok"
    assert found["learned-domains"]["observed"].startswith("0 of at most 1, ")


@finding("cold-memory", present=True)
def test_a_cold_memory(lab, checker):
    found = checker.check("six.test")
    one = found["cold-memory", "six.test"]
    assert one["severity"] == "warning" and "no recipient is known" in one["observed"]
    assert lab.milter.ctl_process("force", "six.test", "down").returncode == 0
    for name in ("erin", "frank"):
        assert lab.ask(f"{name}@six.test").code == 451
    found = checker.check("six.test")
    assert found.exit == 1
    one = found["cold-memory", "six.test"]
    assert one["severity"] == "error" and " 0 % are known" in one["observed"]
    assert "backupmxctl recipients import FILE --domain six.test" in one["mend"]
    assert any("ssh root@mx1.six.test " in line for line in one["mend"]), one["mend"]
    users = pathlib.Path(lab.milter.folder) / "six"
    users.write_text("alice\nbob\n")
    assert lab.milter.ctl_process("recipients", "import", users, "--domain",
                                  "six.test").returncode == 0


@finding("recipients-file", present=True)
def test_a_list_that_is_not_taken(lab, checker, users):
    good = users.read_text()
    users.write_text("# nobody\n")
    assert lab.milter.ctl_process("reload").returncode == 1
    one = checker.check("second.test")["recipients-file", "second.test"]
    assert one["severity"] == "error" and "it has no address of this domain" in one["observed"]
    assert "has 10 entries" in one["observed"]
    users.write_bytes(b"\x1f\x8b\x08\x00packed")
    assert lab.milter.ctl_process("reload").returncode == 1
    one = checker.check("second.test")["recipients-file", "second.test"]
    assert one["severity"] == "error" and "unpack it" in one["observed"]
    # a file that has gone is an error of the configuration; what the daemon has is said all the same
    users.unlink()
    found = checker.check("second.test")
    assert f"{users}" in found["config"]["observed"]
    assert "unpack it" in found["recipients-file", "second.test"]["observed"]
    users.write_text(good)
    assert lab.milter.ctl_process("reload").returncode == 0


@finding("learned-domains", present=True)
def test_learned_domains(lab, checker):
    lab.learn("alice@alias.test")
    one = checker.check("example.test")["learned-domains"]
    assert one["severity"] == "warning"
    assert one["observed"] == "1 of at most 1, 0 of them asleep: alias.test"
    assert "max_learned_domains = 2" in one["mend"]


@finding("learned-domains", present=True)
def test_a_domain_that_is_never_learned(lab, checker):
    lab.configure_milter({"domains": {"domains_from_mta": "no"}})
    assert lab.milter.ctl_process("reload").returncode == 0
    found = checker.check("example.test", "foreign.test")
    one = found["learned-domains"]
    assert (one["severity"], one["subject"]) == ("error", "foreign.test")
    assert checker.check("example.test").severity("learned-domains") == "ok"
    lab.backup_host.run(["sh", "-ec", one["mend"][1]])
    one = checker.check("foreign.test")["cold-memory"]
    assert (one["severity"], one["mend"]) == ("warning", ["backupmxctl reload"])
    assert lab.milter.ctl_process("reload").returncode == 0
    assert checker.check("foreign.test").severity("learned-domains") == "ok"


@finding("cold-memory", present=True)
def test_domains_that_nobody_wrote_to(lab, checker):
    lab.configure_milter()
    assert lab.milter.ctl_process("reload").returncode == 0
    found = checker.check("pair.test", "hung.test", "best.test")
    assert found["cold-memory", "best.test"]["unseen"]
    pair, hung = found["cold-memory", "pair.test"], found["cold-memory", "hung.test"]
    assert pair["severity"] == "warning" and pair["mend"] == hung["mend"]
    lab.backup_host.run(["sh", "-ec", pair["mend"][1]])
    assert lab.milter.ctl_process("reload").returncode == 0
    assert "no recipient is known" in checker.check("hung.test")["cold-memory"]["observed"]


def test_without_a_daemon(lab):
    found = Checker(lab.backup_host).check("example.test")
    assert found["cold-memory"]["unseen"] and found["learned-domains"]["unseen"]
