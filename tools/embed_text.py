#!/usr/bin/env python3
"""Writes a text file as a C array of bytes.

usage: embed_text.py INPUT OUTPUT.c NAME HEADER   (HEADER declares `const struct bytes NAME`)
"""
import os
import sys


def main():
    source, output, name, header = sys.argv[1:]
    with open(source, "rb") as file:
        data = file.read()
    os.makedirs(os.path.dirname(output), exist_ok=True)
    rows = [", ".join(str(byte) for byte in data[i:i + 32]) for i in range(0, len(data), 32)]
    with open(output, "w", encoding="ascii") as file:
        file.write(f'#include "{header}"\n\nstatic const uint8_t text[] = {{\n    ')
        file.write(",\n    ".join(rows))
        file.write(f"\n}};\n\nconst struct bytes {name} = {{ text, sizeof(text) }};\n")


if __name__ == "__main__":
    main()
