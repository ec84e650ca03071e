#!/usr/bin/env python3
"""Writes the files of web/ as C arrays, each plain, gzipped and brotli-compressed where smaller.

usage: embed.py WEB_FOLDER OUTPUT.c FILE...   (files relative to WEB_FOLDER)
"""
import gzip
import hashlib
import os
import shutil
import subprocess
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
}


def brotli(data):
    if not shutil.which("brotli"):
        return b""
    return subprocess.run(["brotli", "-q", "11", "-c"], input=data, stdout=subprocess.PIPE,
                          check=True).stdout


def smaller(packed, data):
    """Compression must pay for itself: a tenth, or it is left out."""
    return packed if packed and len(packed) < len(data) * 0.9 else b""


def array(name, data):
    lines = [f"static const uint8_t {name}[] = {{"]
    for at in range(0, len(data), 32):
        lines.append(",".join(str(byte) for byte in data[at:at + 32]) + ",")
    lines.append("};")
    return "\n".join(lines)


def view(name, data):
    return f"{{ {name}, {len(data)} }}" if data else "{ NULL, 0 }"


def main():
    web, output, files = sys.argv[1], sys.argv[2], sorted(sys.argv[3:])
    parts = ['// Made by tools/embed.py from web/.', '#include "server/static_files.h"', ""]
    items = []
    for index, path in enumerate(files):
        with open(os.path.join(web, path), "rb") as file:
            data = file.read()
        forms = {
            "identity": data,
            "gzip": smaller(gzip.compress(data, 9, mtime=0), data),
            "brotli": smaller(brotli(data), data),
        }
        for form, content in forms.items():
            if content:
                parts.append(array(f"asset_{index}_{form}", content))
        etag = hashlib.sha256(data).hexdigest()[:32]
        kind = TYPES.get(os.path.splitext(path)[1], "application/octet-stream")
        views = [view(f"asset_{index}_{form}", content) for form, content in forms.items()]
        items.append(f'    {{ "{path}", "{kind}", "\\"{etag}\\"",\n      '
                     + ", ".join(views) + " },")
    if items:
        parts += ["static const struct static_asset items[] = {", *items, "};", ""]
    pointer = "items" if items else "NULL"
    parts += ["const struct static_assets static_assets_embedded = {",
              f"    .items = {pointer}, .count = {len(items)},", "};", ""]
    text = "\n".join(parts)
    os.makedirs(os.path.dirname(output), exist_ok=True)
    with open(output + ".new", "w", encoding="ascii") as file:
        file.write(text)
    os.replace(output + ".new", output)


if __name__ == "__main__":
    main()
