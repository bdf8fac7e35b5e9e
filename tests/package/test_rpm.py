# SPDX-License-Identifier: BSD-2-Clause
#
# The RPM as packaging/build-rpm makes it: rpmlint's judgement, and the same files as in the Debian
# package, each where RPM's systems have it. It isn't installed: nothing here could.

import os
import pathlib
import re
import subprocess

import pytest

from lab.host import run_quietly

RPMLINT = pathlib.Path(__file__).resolve().parents[2] / "packaging/rpm/rpmlint.toml"
DOC = "/usr/share/doc/backupmx-milter/"
# Debian's own, and what Debian has at other places or under other names.
DEBIAN_ONLY = {"/usr/share/lintian/overrides/backupmx-milter", f"{DOC}changelog.Debian",
               f"{DOC}copyright"}
RPM_ONLY = {"/usr/lib/sysusers.d/backupmx-milter.conf"}


@pytest.fixture(scope="module")
def rpm(packages):
    found = [path for path in sorted((packages / "rpm").glob("backupmx-milter-*.rpm"))
             if not path.name.endswith(".src.rpm")]
    assert found, f"no package in {packages}/rpm: packaging/build-rpm {packages}/rpm"
    return found[-1]


def place_of_rpm(path):
    path = re.sub(r"^/lib/systemd", "/usr/lib/systemd", path)
    return re.sub(r"^/usr/lib/nagios", "/usr/lib64/nagios", path)


def query(rpm, form):
    return run_quietly(["rpm", "-qp", "--qf", form, rpm]).splitlines()


def test_rpmlint_has_no_complaint(rpm, tmp_path):
    source = next(rpm.parent.glob("*.src.rpm"))
    # a folder of its own: it takes away the rights of others to the one that it unpacks into
    done = subprocess.run(["rpmlint", "-c", RPMLINT, rpm, source], capture_output=True, text=True,
                          check=False, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert re.search(r"2 packages .* 0 errors, 0 warnings", done.stdout), done.stdout + done.stderr


def test_has_the_files_of_the_debian_package(rpm, packages):
    debian = next((packages / "deb").glob("backupmx-milter_*.deb"))
    listing = run_quietly(["dpkg-deb", "-c", debian])
    wanted = {place_of_rpm(path.removesuffix(".gz"))
              for path in re.findall(r"^-\S+ .* \.(/.*)$", listing, re.M)} - DEBIAN_ONLY
    found = {path.removesuffix(".gz") for kind, path in
             (line.split(" ", 1) for line in query(rpm, "[%{FILEMODES:perms} %{FILENAMES}\n]"))
             if kind.startswith("-") and "/licenses/" not in path and ".build-id" not in path}
    assert found == wanted | RPM_ONLY


def test_owners_and_configuration(rpm):
    facts = {path: (perms, owner, flags) for path, perms, owner, flags in (
        line.split() for line in query(
            rpm, "[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME} %{FILEFLAGS:fflags}.\n]"))}
    assert facts["/etc/backupmx-milter/backupmx.ini"] == ("-rw-r--r--", "root", "cn.")
    assert facts["/var/lib/backupmx-milter"] == ("drwxr-x---", "backupmx-milter", ".")
    assert {owner for path, (_, owner, _) in facts.items()
            if path != "/var/lib/backupmx-milter"} == {"root"}
    assert [path for path, (_, _, flags) in facts.items() if "c" in flags] == [
        "/etc/backupmx-milter/backupmx.ini"]
