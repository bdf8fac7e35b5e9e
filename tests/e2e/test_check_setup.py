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
