# SPDX-License-Identifier: BSD-2-Clause
#
# What check says of the program itself, with and without a daemon.

import pathlib

from lab.checking import Checker, finding


@finding("config", "daemon", "mode", "reference", present=False)
def test_all_in_order(lab):
    lab.configure_milter({"probe": {"reference": ["192.0.2.40:25"]}})
    lab.milter.ctl_process("reload")
    found = Checker(lab.backup_host, lab.milter).check("example.test")
    for name in ("config", "daemon", "mode", "reference"):
        assert found.severity(name) == "ok", found[name]


@finding("config", "daemon", present=True)
def test_errors_and_nobody_there(lab):
    ini = pathlib.Path(lab.milter.folder) / "broken.ini"
    ini.write_text("[probe]\nintervall = 30s\n[milter]\nmode = maybe\n")
    checker = Checker(lab.backup_host)
    found = checker.check("example.test", "-c", ini)
    assert found.exit == 1
    assert [one["observed"].split(": ")[0] for one in found.all("config")] == [
        f"{ini}:2", f"{ini}:4"]
    assert found.severity("daemon") == "error"
    assert "no daemon has made it" in found["daemon"]["observed"]


@finding("config", present=True)
def test_no_file(lab):
    """The daemon doesn't start without one; one that runs has another."""
    checker = Checker(lab.backup_host)
    found = checker.check("example.test")
    assert found.severity("config") == "error"
    assert found["config"]["observed"].startswith("there is no /etc/backupmx-milter/backupmx.ini")
    mend = found["config"]["mend"][-1]
    assert mend == "install -D -m 644 /dev/null /etc/backupmx-milter/backupmx.ini"
    daemon = lab.milter.programs / "backupmx-milter"
    assert lab.backup_host.run([daemon, "-t"], check=False).returncode == 78
    other = checker.check("example.test", "-s", lab.milter.control_socket)
    assert other.severity("config") == "warning" and other.severity("daemon") == "ok"
    lab.backup_host.run(["sh", "-ec", mend])
    assert lab.backup_host.run([daemon, "-t"], check=False).returncode == 0
    assert checker.check("example.test").severity("config") == "ok"


def test_many_domains(lab):
    """What is alike is said once: reasons, mends, and what is in order."""
    names = [f"d{number}.test" for number in range(40)]
    lab.dns.change({name: [("MX", "10 mx1.example.test."), ("MX", "20 mx2.example.test.")]
                    for name in names} | {"d7.test": [("MX", "10 mx2.example.test.")],
                                          "d9.test": [("MX", "10 mx2.example.test.")]})
    checker = Checker(lab.backup_host, lab.milter)
    done = checker.run("check", *names)
    lines = done.stdout.splitlines()
    assert len([line for line in lines if line.startswith("  ok       mx-best: 38 in order, as ")
                ]) == 1
    assert [line.split(":")[0] for line in lines if line.startswith("  error    mx-best")] == [
        "  error    mx-best d7.test", "  error    mx-best d9.test"]
    assert done.stdout.count("A backup comes behind the primary.") == 1
    assert done.stdout.count(" canary: 38 not looked at, as ") == 1
    assert done.stdout.count("warning  cold-memory: 38 alike, as ") == 1
    assert len(lines) < 400
    assert len(checker.check(*names).all("mx-best")) == 40


@finding("mode", "reference", present=True)
def test_shadow_without_a_reference(lab):
    ini = pathlib.Path(lab.milter.folder) / "shadow.ini"
    ini.write_text("[milter]\nmode = shadow\n")
    found = Checker(lab.backup_host).check("example.test", "-c", ini, user=65534)
    assert found.severity("mode") == "warning"
    assert "mode = enforce" in found["mode"]["mend"]
    assert found.severity("reference") == "note"


def test_text_and_arguments(lab):
    checker = Checker(lab.backup_host, lab.milter)
    done = checker.run("check", "example.test")
    assert done.returncode == 0 and done.stderr == ""
    assert "\n  ok       daemon: version " in done.stdout
    problems = checker.run("check", "example.test", "--problems")
    assert "  ok  " not in problems.stdout
    bad = checker.run("check", "two words")
    assert bad.returncode == 2 and '"two words" is no domain name' in bad.stderr
