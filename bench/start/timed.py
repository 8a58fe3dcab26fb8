"""Runs a command and says when its lines came: python timed.py PATTERN… -- COMMAND…

Prints a JSON line after what the command prints: `lines`, for each PATTERN (a regular expression) the seconds from the start of the
process to each line that it is found in, and `ended`, to the end of the process.
"""
import json
import re
import subprocess
import sys
import time

split = sys.argv.index("--")
patterns = [re.compile(text) for text in sys.argv[1:split]]
lines = [[] for _ in patterns]
begin = time.monotonic()
process = subprocess.Popen(sys.argv[split + 1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
for line in process.stdout:
    now = round(time.monotonic() - begin, 4)
    sys.stdout.write(line)
    for pattern, found in zip(patterns, lines):
        if pattern.search(line):
            found.append(now)
code = process.wait()
print(json.dumps({"lines": lines, "ended": round(time.monotonic() - begin, 4)}), flush=True)
sys.exit(code)
