#!/usr/bin/env python3
"""Makes the pictures of README and docs/start.md: docs/training.svg, what a terminal shows while LeNet trains on Fashion-MNIST, and docs/report.png,
the report of that training as Chromium shows it. Both are of a real run, of a minute or so.

    docs/pictures.py [--mox=build/release/bin/mox] [--data_url=/usr/share/datasets/fashion-mnist]
"""
import argparse
import html
import os
import pathlib
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import termios

DOCS = pathlib.Path(__file__).resolve().parent
NO_BREAK = "\u00a0"  # of which browsers leave all, where several blanks become one
COLUMNS, LINES = 120, 24
ARGUMENTS = ["--model_name=lenet", "--dataset_name=fashion_mnist", "--train_url=run", "--batch_size=50", "--max_number_of_steps=1200",
             "--optimizer=adam", "--learning_rate_strategy=2:0.001", "--log_every_n_steps=200", "--eval_every_n_steps=400"]


class Screen:
    """What stands on a terminal after some output: as much of it as our program uses."""

    def __init__(self):
        self.lines, self.column = [""], 0

    def feed(self, text):
        for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
            if part == "\n":
                self.lines.append("")
                self.column = 0
            elif part == "\r":
                self.column = 0
            elif part.startswith("\x1b["):
                if part.endswith("K"):
                    self.lines[-1] = self.lines[-1][:self.column]
            else:
                part = (" " * self.column + part).expandtabs()[self.column:]
                line = self.lines[-1].ljust(self.column)
                self.lines[-1] = line[:self.column] + part + line[self.column + len(part):]
                self.column += len(part)


def terminal_of(command, folder, until):
    """Runs the command in a terminal; returns its screen when `until` matched the last line (the run goes on to its end)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvp(command[0], command)
    termios.tcsetwinsize(terminal, (LINES, COLUMNS))
    screen, kept = Screen(), None
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        screen.feed(data.decode(errors="replace"))
        if kept is None and re.search(until, screen.lines[-1]):
            kept = list(screen.lines)
    if os.waitpid(pid, 0)[1]:
        sys.exit("pictures: the training failed:\n" + "\n".join(screen.lines))
    return kept or screen.lines


def svg(lines):
    """A terminal window with these lines."""
    row, width = 18, max(map(len, lines)) * 8 + 32
    height = len(lines) * row + 52
    texts = [f'<text x="16" y="{52 + number * row}">{html.escape(line).replace(" ", NO_BREAK)}</text>' for number, line in enumerate(lines) if line]
    dots = [f'<circle cx="{20 + 18 * number}" cy="17" r="5" fill="#6b7280"/>' for number in range(3)]
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
                      'aria-label="A terminal in which mox train runs">', f'<rect width="{width}" height="{height}" rx="8" fill="#1f2430"/>', *dots,
                      '<g font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="13" fill="#e5e7eb">',
                      *texts, "</g>", "</svg>", ""])


def shown_command(data_url):
    """The command as a user would break it."""
    lines, line = [], "$ mox train"
    for argument in [*ARGUMENTS[:2], f"--data_url={data_url}", *ARGUMENTS[2:]]:
        if len(line) + len(argument) > COLUMNS - 4:
            lines.append(line + " \\")
            line = "   "
        line += " " + argument
    return [*lines, line]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mox", default=str(DOCS.parent / "build/release/bin/mox"))
    parser.add_argument("--data_url", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--out", type=pathlib.Path, default=DOCS)
    args = parser.parse_args()
    chromium = shutil.which("chromium") or sys.exit("pictures: chromium is not installed (scripts/setup.d/40-chromium-test.sh)")
    with tempfile.TemporaryDirectory() as folder:
        command = [args.mox, "train", *ARGUMENTS, f"--data_url={args.data_url}"]
        lines = terminal_of(command, folder, r"\] 9\d\d/1200 ")
        (args.out / "training.svg").write_text(svg(shown_command(args.data_url) + lines))
        subprocess.run([args.mox, "report", "run"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=900,1000", f"--user-data-dir={folder}/profile",
                        f"--screenshot={folder}/report.png", f"file://{folder}/run/report.html"], check=True, stderr=subprocess.DEVNULL, timeout=120)
        shutil.copy(pathlib.Path(folder) / "report.png", args.out / "report.png")


if __name__ == "__main__":
    main()
