#!/usr/bin/env python3
"""Writes what an archive says of the crates in the program: their licences with the texts, and a bill of materials (CycloneDX).

usage: deploy/dependencies.py TARGET LICENCES SBOM

TARGET is the triple that the program was built for, with default features. Both files depend on Cargo.lock and the crates' sources
alone, and on SOURCE_DATE_EPOCH, the time that the bill of materials names.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import uuid
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
NAMED = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)s?([-_.].*)?", re.IGNORECASE)
CODE = {".rs", ".toml", ".json", ".py", ".sh", ".h", ".c"}
# Whose texts stand in LICENSE, for crates that bring none.
KNOWN = {"MIT", "Apache-2.0"}
RULE = "=" * 100


def cargo(*arguments):
    command = ["cargo", *arguments, "--locked"]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def crates(target, edges):
    """Name and version of each crate that these edges lead to."""
    tree = cargo("tree", "--target", target, "--edges", edges, "--prefix", "none", "--format", "{p}")
    return {match.groups() for match in re.finditer(r"^(\S+) v(\S+)", tree, re.MULTILINE)}


def expression(package):
    """The licence as SPDX writes it. Before SPDX, Cargo used a slash for OR."""
    return re.sub(r"\s*/\s*", " OR ", package["license"])


def texts(package):
    """The texts of licences that a crate brings."""
    folder = Path(package["manifest_path"]).parent
    named = {folder / package["license_file"]} if package["license_file"] else set()
    for path in folder.rglob("*"):
        inside = path.parent.name.lower() in {"licenses", "licences"}
        if path.is_file() and path.suffix not in CODE and (inside or NAMED.fullmatch(path.name)):
            named.add(path)
    read = (path.read_text(errors="replace").replace("\r\n", "\n").strip("\n") for path in sorted(named))
    return [text for text in read if text.strip()]


def licences(packages):
    """One page: each crate with its licence, then each text once."""
    brought, bare = {}, []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        found = texts(package)
        for text in found:
            # Texts that differ in spaces alone are one text.
            brought.setdefault(" ".join(text.split()), (text, []))[1].append(name)
        if not found:
            if not KNOWN & set(re.findall(r"[\w.-]+", expression(package))):
                sys.exit(f"error: {name} ({package['license']}) brings no text of its licence")
            bare.append(f"{name}, by {', '.join(package['authors']).replace(' <>', '') or 'its authors'}: {expression(package)}")

    lines = ["The program fourbit contains, or was built with, the crates below. Its own licence is in LICENSE.", ""]
    lines += [f"{package['name']} {package['version']}: {expression(package)}" for package in packages]
    lines += ["", "These bring no text. The texts of the MIT and Apache-2.0 licences are in LICENSE.", "", *bare]
    for text, names in brought.values():
        lines += ["", RULE, *names, RULE, "", text]
    return "\n".join(lines) + "\n"


def purl(package):
    return f"pkg:cargo/{package['name']}@{quote(package['version'])}"


def component(package, checksums):
    entry = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "licenses": [{"expression": expression(package)}],
        "purl": purl(package),
    }
    checksum = checksums.get((package["name"], package["version"]))
    if checksum:
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return entry


def bill(root, packages, linked, nodes, checksums):
    """A bill of materials. What only runs while fourbit is built has the scope `excluded`."""
    references = {package["id"]: purl(package) for package in [root, *packages]}
    components = []
    for package in packages:
        scope = "required" if (package["name"], package["version"]) in linked else "excluded"
        components.append(component(package, checksums) | {"scope": scope})
    dependencies = []
    for node in nodes:
        if node["id"] not in references:
            continue
        used = [dep["pkg"] for dep in node["deps"] if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])]
        on = sorted({references[name] for name in used if name in references})
        dependencies.append({"ref": references[node["id"]], "dependsOn": on})
    made = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), timezone.utc)
    body = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": component(root, checksums) | {"type": "application"},
        },
        "components": components,
        "dependencies": sorted(dependencies, key=lambda entry: entry["ref"]),
    }
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()
    return body | {"serialNumber": uuid.UUID(bytes=digest[:16], version=4).urn}


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    target, page, materials = sys.argv[1:]
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", target))
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    checksums = {(entry["name"], entry["version"]): entry.get("checksum") for entry in lock["package"]}
    linked = crates(target, "normal,no-proc-macro")
    used = linked | crates(target, "normal,build")
    chosen = [package for package in metadata["packages"] if (package["name"], package["version"]) in used]
    chosen.sort(key=lambda package: (package["name"], package["version"]))
    root = next(package for package in chosen if package["name"] == "fourbit")
    packages = [package for package in chosen if package is not root]

    Path(page).write_text(licences(packages))
    sbom = bill(root, packages, linked, metadata["resolve"]["nodes"], checksums)
    Path(materials).write_text(json.dumps(sbom, indent=1) + "\n")
    print(f"{len(packages)} crates, {len(linked) - 1} of them in the program")


if __name__ == "__main__":
    main()
