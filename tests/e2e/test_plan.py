# SPDX-License-Identifier: BSD-2-Clause
#
# backupmxctl plan against a real name server: what it plans is given to nsupdate, and then the zone
# has the records, a second plan has nothing to do, and check finds nothing wrong in DNS.

import json
import subprocess

import pytest

from lab.bind import plan_lab
from lab.checking import Checker
from peers.daemon import SANITIZER_REPORT
from peers.schemas import validate

# We are mx2.example.test, 192.0.2.20.
ROOT = """\
mx2.example.test. A 192.0.2.20
mx2.example.test. AAAA 2001:db8::20
mx3.example.net. A 203.0.113.30
mx4.example.test. A 192.0.2.20
alias.example.test. CNAME mx2.example.test.
20.2.0.192.in-addr.arpa. PTR mx2.example.test.
0.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mx2.example.test.
leads.test. CNAME add.test.
"""
HOSTS = "mx1 A 198.51.100.10\nmx1 AAAA 2001:db8:1::10\n"

ZONES = {
    "done.test": "@ MX 10 mx1\n@ MX 20 mx2.example.test.\n" + HOSTS,
    "add.test": "@ MX 10 mx1\n" + HOSTS,
    "several.test": "@ MX 10 mx1\n" + HOSTS,
    "equal.test": "@ MX 10 mx1\n@ MX 10 mx2.example.test.\n" + HOSTS,
    "better.test": "@ MX 20 mx1\n@ MX 10 mx2.example.test.\n" + HOSTS,
    "full.test": "@ MX 65535 mx1\n" + HOSTS,
    "short.test": "@ 60 MX 10 mx1\n@ 60 MX 20 mx2.example.test.\n" + HOSTS,
    "long.test": "@ 604800 MX 10 mx1\n" + HOSTS,
    "cname.test": "@ MX 10 mail\n@ MX 20 mx2.example.test.\nmail CNAME mx1\n" + HOSTS,
    "ours.test": "@ MX 10 mx1\n@ MX 20 backup\nbackup CNAME mx2.example.test.\n" + HOSTS,
    "bare.test": "@ MX 10 mx1\n" + HOSTS,
    "implicit.test": "@ A 198.51.100.10\n",
    "named.test": "@ A 198.51.100.99\n" + HOSTS,
    "null.test": "@ MX 0 .\n" + HOSTS,
    "empty.test": HOSTS,
    "alone.test": "@ MX 10 mx2.example.test.\n" + HOSTS,
    "twice.test": "@ MX 10 mx1\n@ MX 15 mx1\n@ MX 20 mx2.example.test.\n" + HOSTS,
    "changed.test": "@ MX 10 mx1\n" + HOSTS,
    "deep.test": "sub MX 10 mx1\n" + HOSTS,
    "silent.test": "@ 600 MX 10 mx1\n" + HOSTS,
    "evil.test": r"@ MX 10 mx1" "\n" r"@ MX 30 a\010send\010\;\"\032\$b\.c" "\n" + HOSTS,
}

# Nobody answers there: who asks for the zone is told by others what it holds.
SERVERS = {"silent.test": "mx2.example.test."}

# domain, the command's options, the MX records afterwards
PLANS = [
    ("add.test", [], ["3600 10 mx1.add.test.", "3600 20 mx2.example.test."]),
    ("several.test", ["--backup", "mx2.example.test", "--backup=mx3.example.net"],
     ["3600 10 mx1.several.test.", "3600 20 mx2.example.test.", "3600 30 mx3.example.net."]),
    ("equal.test", [], ["3600 10 mx1.equal.test.", "3600 20 mx2.example.test."]),
    ("better.test", [], ["3600 20 mx1.better.test.", "3600 30 mx2.example.test."]),
    ("full.test", [], ["3600 10 mx1.full.test.", "3600 20 mx2.example.test."]),
    ("short.test", [], ["3600 10 mx1.short.test.", "3600 20 mx2.example.test."]),
    ("long.test", ["--ttl", "2h"], ["7200 10 mx1.long.test.", "7200 20 mx2.example.test."]),
    ("cname.test", [], ["3600 10 mx1.cname.test.", "3600 20 mx2.example.test."]),
    ("ours.test", [], ["3600 10 mx1.ours.test.", "3600 20 mx2.example.test."]),
    ("bare.test", ["--backup", "mx9.bare.test=192.0.2.20,2001:db8::20"],
     ["3600 10 mx1.bare.test.", "3600 20 mx9.bare.test."]),
    ("implicit.test", [], ["3600 10 implicit.test.", "3600 20 mx2.example.test."]),
    ("named.test", ["--primary", "MX1.named.test."],
     ["3600 10 mx1.named.test.", "3600 20 mx2.example.test."]),
    ("null.test", ["--primary", "mx1.null.test"],
     ["3600 10 mx1.null.test.", "3600 20 mx2.example.test."]),
    ("empty.test", ["--primary", "mx1.empty.test"],
     ["3600 10 mx1.empty.test.", "3600 20 mx2.example.test."]),
    ("alone.test", ["--primary", "mx1.alone.test"],
     ["3600 10 mx1.alone.test.", "3600 20 mx2.example.test."]),
    ("twice.test", [], ["3600 10 mx1.twice.test.", "3600 20 mx2.example.test."]),
    ("sub.deep.test", [], ["3600 10 mx1.deep.test.", "3600 20 mx2.example.test."]),
]


@pytest.fixture(scope="module", name="lab")
def lab_fixture():
    with plan_lab(ZONES, ROOT, SERVERS) as lab:
        lab.checker = Checker(lab.backup_host)
        yield lab


def plan(lab, *arguments, code=0):
    done = lab.checker.run("plan", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert not SANITIZER_REPORT.search(done.stderr), done.stderr
    return done


def plan_json(lab, *arguments, code=0):
    result = json.loads(plan(lab, "--json", *arguments, code=code).stdout)
    validate("plan", result)
    return result


def moves(result):
    """{(action, name, type, value)} of what isn't kept."""
    return {(one["action"], one["name"], one["type"], (one["then"] or one["now"])["value"])
            for one in result["records"] if one["action"] != "keep"}


def notes(result):
    return {(one["id"], one["subject"]) for one in result["notes"]}


# -- the plan is carried out

@pytest.mark.parametrize("domain,options,wanted", PLANS, ids=[row[0] for row in PLANS])
def test_nsupdate_makes_it_so(lab, domain, options, wanted):
    zone = lab.zone_of(domain)
    lines = plan(lab, domain, *options, "--format", "zone").stdout
    lab.zone_is_valid(zone, lines + "mx1 A 198.51.100.10\n")
    commands = plan(lab, domain, *options, "--format=nsupdate").stdout
    assert commands.startswith(f"server dns.test.\nzone {zone}.\n")
    assert "\nprereq " in commands
    done = lab.nsupdate(commands)
    assert done.returncode == 0, done.stderr + commands
    assert lab.dns.ask(domain, "MX") == wanted
    again = plan_json(lab, domain, *options)
    assert again["complete"] and not moves(again)
    assert "prereq" not in plan(lab, domain, *options, "--format", "nsupdate").stdout


def test_the_addresses_are_there(lab):
    """In the domain's own zone; test_nsupdate_makes_it_so added them."""
    assert lab.dns.ask("mx9.bare.test", "A") == ["3600 192.0.2.20"]
    assert lab.dns.ask("mx9.bare.test", "AAAA") == ["3600 2001:db8::20"]


def test_check_is_content(lab):
    domains = [domain for domain, _, _ in PLANS]
    found = lab.checker.check(*domains)
    for domain in domains:
        assert found.severity("mx-listed", domain) == "ok"
        assert found.severity("mx-best", domain) == "ok"
    wrong = {name: severity for name, severity in found.problems().items()
             if name[0].startswith(("mx-", "host-")) and severity in ("warning", "error")}
    assert not wrong


# -- what is there, and what stands against it

def test_nothing_to_do(lab):
    done = plan(lab, "done.test")
    assert done.stdout.startswith("done.test: nothing to do, its DNS records are complete\n")
    assert "nsupdate" not in done.stdout
    for form in ("zone", "nsupdate"):
        only = plan(lab, "done.test", "--format", form).stdout
        assert only == "; done.test. has all it needs in its own zone\n"
    assert lab.nsupdate(only).returncode == 0


def test_the_page(lab):
    text = plan(lab, "changed.test").stdout
    assert text.startswith("changed.test: 1 to add, 0 to change, 0 to remove, 3 to keep\n"
                           "zone changed.test, updates go to dns.test\n")
    assert "  add     changed.test. MX 20 mx2.example.test. (TTL 3600)\n" in text
    assert "\n  changed.test. 3600 IN MX 20 mx2.example.test.\n" in text
    assert "\n  prereq yxrrset changed.test. IN MX 10 mx1.changed.test.\n" in text
    table = plan(lab, "changed.test", "--format", "table").stdout.splitlines()
    assert [line.split() for line in table] == [
        ["HOST", "TYPE", "PRIORITY", "VALUE", "TTL", "DO"],
        ["@", "MX", "20", "mx2.example.test", "3600", "add"]]
    assert "1. let the backup's MTA relay changed.test before" in text
    table = plan(lab, "changed.test", "--ttl", "10m", "--format", "table").stdout
    assert "  600  change, was 10 mx1.changed.test with TTL 3600\n" in table
    sub = plan(lab, "www.changed.test", "--primary", "mx1.changed.test", "--format=table").stdout
    assert [line.split()[0] for line in sub.splitlines()] == ["HOST", "www", "www"]


def test_a_changed_zone_is_left_alone(lab):
    commands = plan(lab, "changed.test", "--format", "nsupdate").stdout
    assert lab.nsupdate("zone changed.test\nupdate add changed.test 3600 MX 5 mx0.changed.test\n"
                        "send\n").returncode == 0
    done = lab.nsupdate(commands)
    assert done.returncode == 2 and "NXRRSET" in done.stderr
    assert lab.dns.ask("changed.test", "MX") == ["3600 10 mx1.changed.test.",
                                                 "3600 5 mx0.changed.test."]


@pytest.mark.parametrize("domain,options,obstacle,word", [
    ("gone.test", [], "no-primary", "--primary"),
    ("leads.test", [], "domain-is-alias", "add.test"),
    ("done.test", ["--primary", "mx1.add.test"], "primary-not-listed", "leave it out"),
    ("gone.test", ["--primary", "mx7.add.test"], "primary-unreachable", "mx7.add.test"),
    ("gone.test", ["--primary", "mx2.example.test"], "primary-is-backup", "mx2.example.test"),
    ("done.test", ["--backup", "mx7.add.test"], "backup-unreachable", "--backup NAME=ADDRESS"),
])
def test_obstacles(lab, domain, options, obstacle, word):
    done = plan(lab, domain, *options, code=1)
    assert done.stdout == "" and word in done.stderr
    result = plan_json(lab, domain, *options, code=1)
    assert result["obstacle"] == obstacle and word in result["error"]
    assert plan(lab, domain, *options, "--format", "nsupdate", code=1).stdout == ""


def test_other_zones_are_left_to_others(lab):
    result = plan_json(lab, "done.test", "--backup", "mx8.add.test=203.0.113.8")
    assert moves(result) == {("add", "done.test", "MX", "mx8.add.test"),
                             ("add", "mx8.add.test", "A", "203.0.113.8")}
    assert notes(result) >= {("elsewhere", "mx8.add.test"), ("reverse-none", "mx8.add.test")}
    assert not [line for line in result["nsupdate"] if "203.0.113.8" in line and line[0] != ";"]
    assert not [line for line in result["zone_lines"] if "203.0.113.8" in line and line[0] != ";"]


def test_names_of_addresses(lab):
    """Said once of an address that is in DNS and wanted as well."""
    result = plan_json(lab, "www.done.test", "--primary", "mx1.done.test",
                       "--backup", "mx4.example.test=192.0.2.20")
    assert [one["text"].split(": ")[0] for one in result["notes"]] == [
        "192.0.2.20 is called mx2.example.test in reverse DNS, not mx4.example.test"]


def test_only_a_cache_answers(lab):
    """What it says of a TTL may be what is left of it."""
    result = plan_json(lab, "silent.test")
    assert ("ttl-unknown", "silent.test") in notes(result)
    assert "silent.test. 3600 IN MX 20 mx2.example.test." in result["zone_lines"]
    assert [one["now"]["ttl"] for one in result["records"] if one["type"] == "MX"
            and one["action"] == "keep"] == [None]
    assert lab.nsupdate("\n".join(result["nsupdate"]) + "\n").returncode == 0


def test_names_that_would_be_commands(lab):
    """A host name with newlines, quotes and blanks; the server finds it by the escapes."""
    done = plan(lab, "evil.test")
    assert not [c for c in done.stdout if not (c == "\n" or " " <= c <= "~")]
    commands = plan(lab, "evil.test", "--format", "nsupdate").stdout
    name = r"a\010send\010\059\034\032\036b\046c.evil.test."
    assert f"prereq yxrrset evil.test. IN MX 30 {name}\n" in commands
    assert commands.count("\nsend") == 1
    lines = plan(lab, "evil.test", "--format", "zone").stdout
    lab.zone_is_valid("evil.test", lines + "mx1 A 192.0.2.9\n")
    done = lab.nsupdate(commands)
    assert done.returncode == 0, done.stderr
    assert "3600 40 mx2.example.test." in lab.dns.ask("evil.test", "MX")


def test_who_this_host_is(lab):
    """By the configuration, else by its name and interfaces; a bare name is none."""
    ini = lab.dns.folder / "backupmx.ini"
    ini.write_text("[milter]\nmy_names = mx5.done.test\nmy_addresses = 203.0.113.5\n")
    other = plan_json(lab, "leads.other.test", "--primary=mx1.add.test", "-c", str(ini))
    assert moves(other) == {
        ("add", "leads.other.test", "MX", "mx1.add.test"),
        ("add", "leads.other.test", "MX", "mx5.done.test"),
        ("add", "mx5.done.test", "A", "203.0.113.5")}
    listed = plan_json(lab, "done.test", "-c", str(ini))    # by an address of its interfaces
    assert listed["complete"] and notes(listed) == {("listed-as", "mx5.done.test")}
    ini.write_text("[milter]\nmy_name = mx5.done.test\n")
    assert f"{ini}:2" in plan(lab, "done.test", "-c", str(ini), code=1).stderr
    script = 'hostname bare; exec "$0" plan done.test'
    done = subprocess.run(lab.backup_host.command(
        ["unshare", "--uts", "sh", "-c", script, lab.checker.program]), text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 1 and '"bare", which is no name for MX records' in done.stderr


def test_misuse(lab):
    for arguments, word in (
            ([], "an argument is missing"),
            (["two words"], "no domain name"),
            (["a.test", "--ttl", "60"], "300s to 1d"),
            (["a.test", "--ttl", "2d"], "300s to 1d"),
            (["a.test", "--format", "bind"], "zone, nsupdate or table"),
            (["a.test", "--format", "zone", "--json"], "choose one"),
            (["a.test", "--backup", "here"], "no host name"),
            (["a.test", "--backup", "b.test=1.2.3"], "no address"),
            (["a.test", "--backup", "b.test=192.168.0.1"], "others can reach"),
            (["a.test", "--backup", "b.test=192.0.2.1,"], "no address"),
            (["a.test", "--backup", "b.test=" + ",".join(["192.0.2.1"] * 17)], "at most 16"),
            (["a.test", "--backup", "b.test", "--backup", "B.test."], "given twice"),
            (["a.test", "--primary", "192.0.2.1"], "no host name"),
            (["a.test"] + ["--backup=b%d.test" % i for i in range(17)], "16 times at most")):
        done = plan(lab, *arguments, code=2)
        assert word in done.stdout + done.stderr, arguments


def test_dns_that_does_not_answer(lab):
    lab.dns_host.nft("table inet wall { chain input { type filter hook input priority 0; "
                     "udp dport 53 reject; tcp dport 53 reject; }; }\n")
    try:
        done = plan(lab, "add.test", code=1)
    finally:
        lab.dns_host.nft("delete table inet wall\n")
    assert done.stdout == "" and "MX records of add.test" in done.stderr
