#!/usr/bin/env python3
"""Run a session in a pseudo-terminal with the built handoff and draw what it shows: docs/demo.svg.

    make build && python3 test/cast.py

Nothing is staged: the picture is the last screen of real commands, with their colours. Needs only Python 3.
"""
import fcntl
import html
import os
import pathlib
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "demo.svg"
COLUMNS = 100

FILES = {
    "nightly/project.yml": """\
version: 1
vars: [{key: crash, value: never}]
tasks:
- name: nightly
  pipeline:
  - name: extract
    command: seq 1 50; test {{ crash }} = never || exit 3; seq 51 100
  - name: load
    command: cat > artifacts/new && mv artifacts/new artifacts/table
""",
}
# A comment, or a command that is run.
SESSION = [
    "# A first run: seven tutorial projects come with the program.",
    "handoff quick_start make tutorial >/dev/null",
    "handoff plan -p tutorial/01_word_count -o text",
    "handoff run local -p tutorial/01_word_count -w ws -o text",
    "cat ws/artifacts/count_stdout.log",
    "# A load that commits at the end of its input, behind a source that can crash.",
    "cat nightly/project.yml",
    "handoff run local -p nightly -w ws -o text -l warning",
    "handoff run local -p nightly -w ws -o text -v crash=now",
    "echo $?",
    "# A shell would have loaded the half of it. Here the table is still that of the good run:",
    "wc -l ws/artifacts/table",
]

# The sixteen colours of a terminal, readable on a dark ground.
GROUND, INK = "#16191f", "#d5d9e0"
PALETTE = [
    "#3b4048", "#f0707a", "#9fcf7a", "#e6c07a", "#6cb2f2", "#cf8ae0", "#63c6cf", "#d5d9e0",
    "#7f8794", "#ff8a92", "#b4e38e", "#f5d58c", "#8cc6ff", "#e3a4f2", "#7fdde6", "#ffffff",
]


class Screen:
    """As much of a terminal as handoff uses: colours, carriage return, cursor up, erase, wrapping."""

    def __init__(self, columns):
        self.columns, self.rows, self.row, self.column = columns, [[]], 0, 0
        self.style = (INK, False, False)  # colour, bold, dim

    def feed(self, text):
        for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b.|[^\x1b]", text):
            if part.startswith("\x1b["):
                self.control(part[-1], part[2:-1])
            elif not part.startswith("\x1b"):
                self.put(part)

    def put(self, char):
        if char == "\n":
            self.down()
        elif char == "\r":
            self.column = 0
        elif char == "\t":
            for _ in range(8 - self.column % 8):
                self.put(" ")
        elif char >= " ":
            if self.column >= self.columns:
                self.down()
                self.column = 0
            line = self.rows[self.row]
            line.extend([(" ", self.style)] * (self.column + 1 - len(line)))
            line[self.column] = (char, self.style)
            self.column += 1

    def down(self):
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])

    def control(self, final, numbers):
        values = [int(n) for n in numbers.split(";") if n.isdigit()]
        if final == "m":
            self.colour(values or [0])
        elif final == "A":
            self.row = max(0, self.row - (values or [1])[0])
        elif final == "J":
            del self.rows[self.row + 1:]
            del self.rows[self.row][self.column:]
        elif final == "K":
            del self.rows[self.row][self.column:]

    def colour(self, values):
        colour, bold, dim = self.style
        for v in values:
            if v == 0:
                colour, bold, dim = INK, False, False
            elif v == 1:
                bold = True
            elif v == 2:
                dim = True
            elif v == 22:
                bold = dim = False
            elif v == 39:
                colour = INK
            elif 30 <= v <= 37:
                colour = PALETTE[v - 30]
            elif 90 <= v <= 97:
                colour = PALETTE[v - 82]
        self.style = (colour, bold, dim)


def run(command, folder):
    """Run command in a terminal of its own; answer what the terminal got."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("HANDOFF_", "AWS_")) and k != "NO_COLOR"}
    environ.update(PATH=f"{ROOT / 'bin'}:{environ['PATH']}", TERM="xterm-256color", LC_ALL="C.UTF-8", PS1="", HOME=folder)
    process = subprocess.Popen(["bash", "-c", command], stdin=child, stdout=child, stderr=child, cwd=folder, env=environ,
                               start_new_session=True)
    os.close(child)
    got = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:  # Linux: the last writer is gone
            break
        if not piece:
            break
        got += piece
    os.close(parent)
    return got.decode(), process.wait()


def record():
    screen = Screen(COLUMNS)
    code = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, text in FILES.items():
            file = pathlib.Path(folder, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        for i, line in enumerate(SESSION):
            if line.startswith("#"):
                screen.feed(("\r\n" if i else "") + f"\x1b[90m{line}\x1b[0m\r\n")
                continue
            screen.feed(f"\x1b[92m$\x1b[0m \x1b[1m{line}\x1b[0m\r\n")
            output, code = run(f"(exit {code}); {line}", folder)
            if folder in output:
                sys.exit(f"error: the folder of this machine shows in: {output}")
            screen.feed(output)
            if screen.column:
                screen.feed("\r\n")
    while screen.rows and not screen.rows[-1]:
        screen.rows.pop()
    return screen.rows


def words(line):
    """The words of a line, each of one style, as (column, style, text). A blank is a place and never a character: what
    shows the picture may collapse blanks (browsers do, and code hosts drop xml:space)."""
    start = 0
    for i in range(1, len(line) + 1):
        if i == len(line) or line[i][1] != line[start][1] or line[i][0] == " " or line[start][0] == " ":
            text = "".join(char for char, _ in line[start:i])
            if text.strip():
                yield start, line[start][1], text
            start = i


def draw(rows):
    width, height, margin, top = 8.4, 19, 20, 44
    w, h = COLUMNS * width + 2 * margin, len(rows) * height + top + margin
    label = " ".join("".join(c for c, _ in row).strip() for row in rows if row and row[0][0] == "$")
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:.0f} {h:.0f}" width="{w:.0f}" height="{h:.0f}" role="img"'
        f' aria-label="{html.escape("A terminal: " + label)}">',
        f'<rect width="{w:.0f}" height="{h:.0f}" rx="9" fill="{GROUND}"/>',
        *(f'<circle cx="{margin + 4 + 20 * i}" cy="21" r="6" fill="{c}"/>' for i, c in enumerate(["#f0707a", "#e6c07a", "#9fcf7a"])),
        '<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,\'DejaVu Sans Mono\',monospace" font-size="14">',
    ]
    for i, row in enumerate(rows):
        for column, (colour, bold, dim), text in words(row):
            look = f' fill="{colour}"' + (' font-weight="bold"' if bold else "") + (' opacity="0.65"' if dim else "")
            wide = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
            out.append(f'<text x="{margin + column * width:.1f}" y="{top + i * height + 14}" textLength="{wide * width:.1f}"'
                       f' lengthAdjust="spacingAndGlyphs"{look}>{html.escape(text)}</text>')
    return "\n".join([*out, "</g>", "</svg>", ""])


if __name__ == "__main__":
    if not (ROOT / "bin" / "handoff").exists():
        sys.exit("error: bin/handoff is missing: run make build")
    OUT.write_text(draw(record()))
    print(f"{OUT.relative_to(ROOT)} written")
