# SPDX-License-Identifier: BSD-2-Clause
#
# The answers of `backupmxctl report`, each held to its schema and to what must be true of any.

import datetime
import json
import pathlib

import jsonschema
from .waiting import eventually

SCHEMA = json.loads((pathlib.Path(__file__).resolve().parents[2] /
                     "etc/schemas/report.schema.json").read_text())
jsonschema.Draft202012Validator.check_schema(SCHEMA)
SUMS = ("up_seconds", "down_seconds", "sick_seconds", "isolated_seconds")


def moment(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").timestamp()


def report(daemon, *arguments):
    """The report as JSON, held to its schema and to what must be true of any report."""
    code, out, parsed = daemon.ctl("report", "--json", *arguments)
    assert code == 0, out
    jsonschema.validate(parsed, SCHEMA)
    for domain in parsed["domains"]:
        for key in SUMS:
            assert abs(domain[key] - sum(day[key] for day in domain["days"])) <= len(
                domain["days"]), domain
        for outage in domain["outages"]:
            assert outage["start"] <= outage["detected"] <= (outage["end"] or "9"), outage
            assert outage["mails_flushed"] <= outage["mails_taken"], outage
        starts = [outage["start"] for outage in domain["outages"]]
        assert starts == sorted(starts)
        dates = [day["date"] for day in domain["days"]]
        assert dates == sorted(set(dates))
    outages = [outage for domain in parsed["domains"] for outage in domain["outages"]]
    assert parsed["totals"]["outages"] == len(outages)
    assert parsed["totals"]["outage_seconds"] == sum(o["duration_seconds"] for o in outages)
    assert parsed["totals"]["mails_taken"] == sum(o["mails_taken"] for o in outages)
    return parsed


def of(daemon, name, *arguments):
    [domain] = report(daemon, name, *arguments)["domains"]
    assert domain["domain"] == name
    return domain


def wait_outage(daemon, name, condition, deadline=15):
    """The last outage, once it is as wanted."""
    seen = []

    def look():
        seen[:] = of(daemon, name)["outages"][-1:]
        return seen and condition(seen[0]) and seen[0]
    return eventually(look, deadline, lambda: "an outage of %s, last: %r" % (name, seen), pause=0.1)


def length_fits(outage, slack=2):
    """What was counted is what the clock on the wall says."""
    passed = moment(outage["end"]) - moment(outage["start"])
    return abs(outage["duration_seconds"] + outage["isolated_seconds"] - passed) <= slack
