# SPDX-License-Identifier: BSD-2-Clause
#
# Runs the tiers of tests over the builds, several jobs at a time, and counts. Called by tests/run.
#
# A job is one build, one `make check`, one test module of a pytest tier on one build, one lint
# script, or `make distcheck`. Most jobs of the end-to-end tier wait for timers, so more of them run
# at once than there are processors; compilers are counted as what they cost.

import argparse
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree

USAGE = """\
usage: tests/run [--no-install] [--builds LIST] [TIER...]

Tiers (all of them without one named):
  lint        scripts in tests/lint
  unit        make check
  daemon      the daemon against scripted peers (tests/daemon)
  e2e         the daemon between real servers in network namespaces (tests/e2e)
  distcheck   make distcheck
  package     the Debian package and the RPM: built, judged, installed, upgraded, removed in a clean
              root file system (tests/package)

Builds, each in build/NAME: gcc, clang, asan (address and undefined behaviour), tsan (threads).
The unit tier runs on all of them, daemon on gcc, asan and tsan, e2e on gcc and asan. The modules of
e2e run with Postfix as the backup's MTA, and on gcc with Sendmail, too, where that makes a difference.

  --builds LIST   only these, as in --builds gcc,asan
  --no-install    the Debian packages are there already
  --help          this text

A module of daemon or e2e that failed beside others is run once more, alone; if it passes then, it
is named as FLAKY. Logs are in build/logs. The exit status is 0 when nothing failed; the last line
counts.
"""

TOP = pathlib.Path(__file__).resolve().parents[1]
LOGS = TOP / "build/logs"
PYTHON = "/usr/bin/python3"

BUILDS = {
    "gcc": ["--enable-werror", "CC=gcc"],
    "clang": ["--enable-werror", "CC=clang"],
    "asan": ["--enable-werror", "--with-sanitizer=address,undefined"],
    "tsan": ["--enable-werror", "--with-sanitizer=thread"],
}
PYTEST_BUILDS = {"daemon": ["gcc", "asan", "tsan"], "e2e": ["gcc", "asan"]}
# The end-to-end modules that run with Sendmail as the backup's MTA as well, on the first build. Single
# tests that can't are listed in tests/e2e/conftest.py.
WITH_SENDMAIL = [
    "detection", "exempt", "force", "hanging_primary",
    "isolation", "learned_domains", "outages", "own_failures", "policy", "primary_refuses_us",
    "reload", "report", "restart", "retrying_sender", "tag", "vanished_users", "who_is_primary",
]
# And those that don't, with the reason. A new module has to be in one of the two.
OF_SENDMAIL = "is about Sendmail, whatever the environment says"
OF_CHECK = "check asks each MTA by its own tools: test_check_sendmail has Sendmail's part"
NO_MTA = "asks nothing of the backup's MTA"
NOT_WITH_SENDMAIL = {
    "check_dns": NO_MTA, "check_memory": NO_MTA, "check_setup": NO_MTA, "plan": NO_MTA,
    "check_postfix": OF_CHECK, "check_newcomer": OF_CHECK,
    "check_reach": "compares the primary with what Postfix offers: an MTA's offers are one SMTP",
    "check_server": "looks at a sloppy Postfix: test_sendmail has a good Sendmail looked at",
    "check_web": "has Postfix show a certificate: to check it is any STARTTLS's",
    "check_sendmail": OF_SENDMAIL, "drill_sendmail": OF_SENDMAIL, "sendmail": OF_SENDMAIL,
    "drill": "looks into Postfix's queue: test_drill_sendmail has the same steps",
    "drill_milter": "looks into Postfix's queue: test_drill_sendmail has the same steps",
    "commands": "only root may run Sendmail's queue: there ETRN is the only way, and the daemon "
                "isn't root",
    "no_bounce": "Sendmail ignores NOTIFY=NEVER: test_sendmail states the difference",
    "dictionary_attack": "is about thousands of sessions, each a process of Sendmail's: minutes",
    "friendly_primary": "is about what a primary sees of the milter",
}
TIERS = ["lint", "unit", "daemon", "e2e", "distcheck", "package"]

SUPPRESSIONS = TOP / "tests/sanitizers"
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:"
                    "exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "TSAN_OPTIONS": "second_deadlock_stack=1:exitcode=99",
}

COMPILING = 3  # what a job with make -j2 costs; a test module, which mostly waits, costs 1
CAPACITY = 5 * (os.cpu_count() or 2)
JOB_SECONDS = 1200


@dataclasses.dataclass(eq=False)
class Job:
    name: str
    command: list
    needs: tuple = ()
    cost: int = 1
    folder: pathlib.Path = TOP
    environment: dict = dataclasses.field(default_factory=dict)
    count: object = None  # callable(job) -> (passed, failed), from what the job left behind
    # results
    status: int = None
    seconds: float = 0.0
    passed: int = 0
    failed: int = 0
    note: str = ""

    @property
    def log(self):
        return LOGS / (re.sub(r"[^\w.-]+", "-", self.name) + ".log")

    @property
    def junit(self):
        return self.log.with_suffix(".xml")


# Counting.

def count_junit(job):
    """Every test by itself. A skipped one counts as failed: nothing is left out in silence."""
    try:
        root = xml.etree.ElementTree.parse(job.junit).getroot()
    except (OSError, xml.etree.ElementTree.ParseError):
        return 0, 1
    passed = failed = 0
    for case in root.iter("testcase"):
        bad = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        if "skipped" in bad:
            job.note = "skipped tests count as failed"
        failed += bool(bad)
        passed += not bad
    return passed, failed


def count_check(job):
    """cmocka's tests one by one where a program's log has them, else the program as one."""
    passed = failed = 0
    for result in job.folder.rglob("*.trs"):
        text = result.read_text(errors="replace")
        log = result.with_suffix(".log")
        log_text = log.read_text(errors="replace") if log.exists() else ""
        good = sum(map(int, re.findall(r"\[  PASSED  \] (\d+) test", log_text)))
        bad = sum(map(int, re.findall(r"\[  FAILED  \] (\d+) test", log_text)))
        program_failed = not re.search(r"^:global-test-result: PASS$", text, re.M)
        passed += good or not program_failed
        # A program that failed without a failed test crashed, or a sanitizer reported.
        failed += bad or program_failed
    return passed, failed


def count_status(job):
    return (1, 0) if job.status == 0 else (0, 1)


# What there is to run.

def pytest_command(job, module):
    return [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "-rfE",
            f"--junitxml={job.junit}", str(module)]


def pytest_jobs(tier, build):
    """One job per module: they share nothing, so they may run side by side."""
    # The longest first, roughly: none should be alone at the end.
    modules = sorted((TOP / "tests" / tier).glob("test_*.py"),
                     key=lambda module: -module.stat().st_size)
    if tier == "daemon" and build == PYTEST_BUILDS[tier][0]:
        # The scripted peers are held to real clients once; they are the same for every build.
        modules.insert(0, TOP / "tests/peers/test_peers.py")
    for module in modules:
        yield pytest_job(tier, build, module)
    if tier == "e2e" and build == PYTEST_BUILDS[tier][0]:
        for module in modules:
            if runs_with_sendmail(module):
                yield pytest_job(tier, build, module, mta="sendmail")


def runs_with_sendmail(module):
    name = module.stem.removeprefix("test_")
    if (name in WITH_SENDMAIL) == (name in NOT_WITH_SENDMAIL):
        sys.exit(f"{module.name}: does it run with Sendmail, too? tests/runner.py must list it "
                 "in WITH_SENDMAIL, or in NOT_WITH_SENDMAIL with the reason")
    return name in WITH_SENDMAIL


def pytest_job(tier, build, module, mta=None):
    job = Job(f"{tier} {mta or build} {module.stem}", [], (f"build {build}",), folder=TOP,
              count=count_junit)
    job.command = pytest_command(job, module)
    if tier == "daemon":
        # A loopback of its own: ports and addresses can't collide with another job's.
        job.command = ["unshare", "--net", "sh", "-ec", 'ip link set lo up; exec "$@"', "sh",
                       *job.command]
    job.environment = {"BACKUPMX_BUILD": str(TOP / "build" / build)}
    if mta:
        job.environment["BACKUPMX_LAB_MTA"] = mta
    return job


def package_jobs():
    """The packages are built by their own scripts, from the source archive; the unit tier has run
    their unit tests. Then one job per module that looks at them."""
    folder = TOP / "build/package"
    for kind, variable in (("deb", "DEB_BUILD_OPTIONS"), ("rpm", "BACKUPMX_NO_CHECK")):
        build = f'rm -rf "$1"; exec packaging/build-{kind} "$1"'
        yield Job(f"package {kind}", ["sh", "-ec", build, "sh", str(folder / kind)],
                  ("autoreconf",), COMPILING,
                  environment={variable: "nocheck parallel=2"})
    for module, needs in (("test_debian", ("package deb",)),
                          ("test_rpm", ("package deb", "package rpm"))):
        job = Job(f"package {module}", [], needs, count=count_junit,
                  environment={"BACKUPMX_PACKAGES": str(folder)})
        job.command = pytest_command(job, TOP / f"tests/package/{module}.py")
        yield job


def all_jobs(tiers, builds):
    jobs = []
    needed = [build for build in BUILDS if build in builds and (
        "unit" in tiers or any(build in PYTEST_BUILDS.get(tier, []) for tier in tiers)
        or build == "gcc" and {"lint", "distcheck"} & set(tiers))]
    if "lint" in tiers:
        for script in sorted((TOP / "tests/lint").iterdir()):
            if script.is_file() and os.access(script, os.X_OK):
                # Some look at the built programs and the generated files as well.
                needs = ("build gcc",) if "gcc" in needed else ("autoreconf",)
                jobs.append(Job(f"lint {script.name}", [str(script)], needs,
                                environment={"BACKUPMX_BUILD": str(TOP / "build/gcc")},
                                count=count_status))
    jobs.append(Job("autoreconf", ["autoreconf", "-i"], cost=COMPILING))
    for build in needed:
        folder = TOP / "build" / build
        folder.mkdir(parents=True, exist_ok=True)
        options = " ".join(BUILDS[build])
        jobs.append(Job(
            f"build {build}",
            ["sh", "-ec", f"../../configure {options} && make -j2"],
            ("autoreconf",), COMPILING, folder))
        if "unit" in tiers:
            jobs.append(Job(f"unit {build}", ["make", "-k", "-j2", "check"], (f"build {build}",),
                            COMPILING, folder, count=count_check))
    if "distcheck" in tiers and "gcc" in needed:
        jobs.append(Job("distcheck", ["make", "distcheck"],
                        ("unit gcc",) if "unit" in tiers else ("build gcc",), COMPILING,
                        TOP / "build/gcc", count=count_status))
    if "package" in tiers:
        jobs += package_jobs()
    for tier in ("e2e", "daemon"):
        if tier in tiers:
            for build in PYTEST_BUILDS[tier]:
                if build in needed:
                    jobs += pytest_jobs(tier, build)
    return jobs


# Running.

class Runner:
    def __init__(self, jobs):
        self.waiting = list(jobs)
        self.total = len(jobs)
        self.done = {}
        self.running = {}
        self.flaky = []
        self.changed = threading.Condition()

    def run(self):
        with self.changed:
            while self.waiting or self.running:
                self.start_what_can()
                self.changed.wait(1)

    def start_what_can(self):
        """Jobs in their order, as far as what they need is there and the machine has room."""
        for job in list(self.waiting):
            needed = [self.done.get(name) for name in job.needs]
            if any(other is None for other in needed):
                continue
            if any(other.status != 0 and not other.count for other in needed):
                self.waiting.remove(job)
                job.status, job.failed = -1, 1
                job.note = f"not run: {', '.join(job.needs)} failed"
                self.done[job.name] = job
                continue
            used = sum(other.cost for other in self.running)
            if used and used + job.cost > CAPACITY:
                continue
            self.waiting.remove(job)
            self.running[job] = None
            threading.Thread(target=self.work, args=(job,), daemon=True).start()

    def work(self, job):
        began = time.monotonic()
        environment = dict(os.environ, LC_ALL="C.UTF-8", **job.environment)
        for name, options in SANITIZER_OPTIONS.items():
            suppressions = SUPPRESSIONS / f"{name.split('_')[0].lower()}.supp"
            if suppressions.exists():
                options += f":suppressions={suppressions}"
            environment[name] = options
        with open(job.log, "wb") as log:
            process = subprocess.Popen(job.command, cwd=job.folder, env=environment, stdout=log,
                                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                       start_new_session=True)
            with self.changed:
                self.running[job] = process
            try:
                job.status = process.wait(JOB_SECONDS)
            except subprocess.TimeoutExpired:
                job.note = f"ended after {JOB_SECONDS} s"
                os.killpg(process.pid, signal.SIGKILL)
                job.status = process.wait()
        job.seconds = time.monotonic() - began
        if job.count:
            job.passed, job.failed = job.count(job)
            if job.status != 0 and job.failed == 0:
                job.failed = 1
                job.note = job.note or f"exit status {job.status}"
        elif job.status != 0:
            job.failed = 1
        with self.changed:
            del self.running[job]
            self.finish(job)
            self.changed.notify()

    def finish(self, job):
        self.done[job.name] = job
        verdict = "FAIL" if job.failed else "ok  "
        counts = f"{job.passed} passed, {job.failed} failed" if job.count or job.failed else ""
        print(f"[{len(self.done):3}/{self.total}] {verdict} {job.name:46} {counts:24} "
              f"{job.seconds:6.1f} s  {job.note}")
        if job.failed and job.status != -1:
            lines = job.log.read_text(errors="replace").splitlines()
            print("\n".join(f"    {line}" for line in lines[-30:]))

    def again_alone(self):
        """A module of the slow tiers that failed beside others gets a second chance on a quiet
        machine: its clocks are real. It is named as flaky all the same. What a sanitizer reported
        has nothing to do with load, and stays."""
        for job in [job for job in self.done.values() if job.failed and job.status != -1]:
            if not re.match(r"daemon|e2e|package test_", job.name):
                continue
            if "Sanitizer" in job.log.read_text(errors="replace"):
                continue
            first = job.log.with_suffix(".first.log")
            job.log.rename(first)
            job.note = "again, alone"
            self.running[job] = None
            self.work(job)
            if not job.failed:
                self.flaky.append(f"{job.name} failed beside others and passed alone "
                                  f"({first.relative_to(TOP)})")

    def stop(self):
        with self.changed:
            processes = [process for process in self.running.values() if process]
        for process in processes:
            try:
                # Not SIGKILL: labs and temporary folders are taken down on the way out.
                os.killpg(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def give_back(paths):
    """What was built as root under sudo belongs to the caller."""
    user, group = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if user:
        subprocess.run(["chown", "-R", f"{user}:{group or user}",
                        *[str(path) for path in paths if path.exists()]], check=False)


def summary(done, flaky, seconds):
    print()
    by_tier = {}
    for job in done:
        passed, failed, spent = by_tier.get(job.name.split()[0], (0, 0, 0.0))
        by_tier[job.name.split()[0]] = (passed + job.passed, failed + job.failed,
                                        spent + job.seconds)
    for tier, (passed, failed, spent) in by_tier.items():
        print(f"{tier:12} {passed:5} passed {failed:4} failed   {spent:7.1f} s of work")
    for job in done:
        if job.name.startswith("e2e gcc") and job.log.exists():
            for line in re.findall(r"^figure: .*", job.log.read_text(errors="replace"), re.M):
                print(line)
    for line in flaky:
        print(f"FLAKY: {line}")
    not_run = {}
    for job in done:
        if job.status == -1:
            not_run.setdefault(job.note, []).append(job.name)
        elif job.failed:
            print(f"FAILED: {job.name}: {job.failed} failed {job.note} "
                  f"({job.log.relative_to(TOP)})")
    for note, names in not_run.items():
        print(f"FAILED: {note}: {len(names)} jobs, {names[0]} to {names[-1]}")
    passed, failed = sum(job.passed for job in done), sum(job.failed for job in done)
    print(f"{seconds / 60:.1f} minutes on {os.cpu_count()} processors")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(usage=USAGE.removeprefix("usage: "), add_help=False)
    parser.add_argument("--no-install", action="store_true")
    parser.add_argument("--builds", default=",".join(BUILDS))
    parser.add_argument("tiers", nargs="*", metavar="TIER")
    options = parser.parse_args()
    tiers, builds = options.tiers or TIERS, options.builds.split(",")
    for word, known in [*((tier, TIERS) for tier in tiers), *((b, BUILDS) for b in builds)]:
        if word not in known:
            parser.error(f"{word}: one of {', '.join(known)}")

    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    began = time.monotonic()
    runner = Runner(all_jobs(tiers, builds))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    try:
        runner.run()
        runner.again_alone()
    except (KeyboardInterrupt, SystemExit):
        runner.stop()
        print("interrupted")
        raise
    finally:
        give_back([TOP / name for name in (
            "build", "configure", "aclocal.m4", "autom4te.cache", "build-aux", "config.h.in",
            "Makefile.in")])
    return summary(runner.done.values(), runner.flaky, time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
