#!/usr/bin/env python3
"""Writes what others wrote that is in the program, built with default features for Linux, and under which licences.

It reads the crates that cargo has fetched, and no network.
"""

import json
import pathlib
import re
import subprocess

TARGET = "x86_64-unknown-linux-gnu"
NAMES = re.compile(r"(licen[sc]e|copying|copyright|notice|unlicense|ofl|ufl)", re.IGNORECASE)


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments, "--locked"], check=True, capture_output=True, text=True).stdout


def texts(folder):
    """The licence files of a crate, those of C code in it and of its fonts among them."""
    files = (path for path in folder.rglob("*") if path.is_file() and NAMES.match(path.name))
    plain = (path for path in files if path.suffix.lower() not in {".rs", ".toml", ".json", ".yml", ".html"})
    read = (path.read_text(errors="replace") for path in sorted(plain))
    return ["\n".join(line.rstrip() for line in text.strip().splitlines()) for text in read]


metadata = json.loads(cargo("metadata", "--format-version=1", f"--filter-platform={TARGET}"))
packages = {(package["name"], package["version"]): package for package in metadata["packages"]}
edges = ["--edges=normal,no-proc-macro", "--prefix=none", "--format={p}"]
tree = cargo("tree", "--package=rectify-cli", f"--target={TARGET}", *edges)
linked = sorted({tuple(line.replace(" v", " ").split()[:2]) for line in tree.splitlines() if line})
crates = [packages[crate] for crate in linked if packages[crate]["source"]]

told = {}
print("What others wrote that is in the program `rectify`, and under which licences. plotly.js, which draws reports, comes")
print("with its own in src/draw/plotly/LICENSE; Rust's standard library is under MIT or Apache-2.0. Texts are at the end.\n")
for crate in crates:
    print(f"{crate['name']} {crate['version']}: {crate['license'] or crate['license_file']}", end="")
    print(f", {crate['repository']}" if crate["repository"] else "")
    found = texts(pathlib.Path(crate["manifest_path"]).parent)
    for text in found:
        told.setdefault(text, {})[f"{crate['name']} {crate['version']}"] = None
    if not found:
        authors = ", ".join(author.split(" <")[0] for author in crate["authors"])
        print(f"    brings no text of it; by {authors or 'those who are named in its repository'}")
for text, of in told.items():
    print(f"\n{'-' * 80}\nOf {', '.join(of)}:\n\n{text}")
