"""Writes the table in docs/networks.md from `mox nets --json`. Run after a network was added or changed."""

import json
import pathlib
import subprocess
import sys

BEGIN, END = "<!-- table: docs/networks_table.py -->", "<!-- end of table -->"


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    mox = sys.argv[1] if len(sys.argv) > 1 else str(root / "build/release/bin/mox")
    listing = subprocess.run([mox, "nets", "--json"], check=True, capture_output=True, text=True).stdout
    lines = ["| name | image | labels offset | logits pattern | parameters | GFLOPs |", "|---|---|---|---|---|---|"]
    for net in json.loads(listing):
        lines.append(f"| `{net['name']}` | {net['image_size']}x{net['image_size']}x{net['channels']} | "
                     f"{net['labels_offset']} | `{net['logits_pattern']}` | {net['parameters']:,} | {net['gflops']:.2f} |")
    page = root / "docs" / "networks.md"
    text = page.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + after)


if __name__ == "__main__":
    main()
