# SPDX-License-Identifier: BSD-2-Clause
#
# The schemas of etc/schemas, to hold real output against.

import json
import os

import jsonschema

from .daemon import TOP


def validate(name, value):
    """`value` is what the schema of that name ("status", ...) describes."""
    with open(os.path.join(TOP, "etc", "schemas", name + ".schema.json"),
              encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft7Validator.check_schema(schema)
    problems = sorted(jsonschema.Draft7Validator(schema).iter_errors(value), key=str)
    assert not problems, "\n".join("%s: %s" % ("/".join(map(str, problem.path)), problem.message)
                                   for problem in problems)
