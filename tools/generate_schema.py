#!/usr/bin/env python3
"""Makes from src/signal/native/schema/ what speaks the native protocol:

  generate_schema.py SCHEMA_DIR --c OUT_DIR        typed structs, parsers and writers in C
  generate_schema.py SCHEMA_DIR --docs FILE        docs/protocol.md
  generate_schema.py SCHEMA_DIR --typescript FILE  web/sdk/protocol.d.ts
  ... --check                                      compare with what is there instead of writing
"""
import argparse
import json
import os
import sys

import schema_c
import schema_docs
import schema_model


def deliver(path, text, check):
    old = None
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            old = file.read()
    if old == text:
        return True
    if check:
        print(f"{path} is not what the schema says; run: ninja schema_documents", file=sys.stderr)
        return False
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return True


def main():
    arguments = argparse.ArgumentParser(description=__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("schema")
    arguments.add_argument("--c")
    arguments.add_argument("--docs")
    arguments.add_argument("--typescript")
    arguments.add_argument("--check", action="store_true")
    options = arguments.parse_args()
    schema = schema_model.load(options.schema)
    good = True
    if options.c:
        for name, text in schema_c.files(schema).items():
            good &= deliver(os.path.join(options.c, name), text, options.check)
    if options.docs:
        good &= deliver(options.docs, schema_docs.markdown(schema), options.check)
    if options.typescript:
        good &= deliver(options.typescript, schema_docs.typescript(schema), options.check)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
