"""Reads a JSON Schema and a file with one JSON document a line; prints 1 for each that is valid, else 0."""
import json
import sys

import jsonschema

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
with open(sys.argv[2], encoding="utf-8") as file:
    for line in file:
        print(1 if validator.is_valid(json.loads(line)) else 0)
