"""Any output of any command on any terminal: nothing that is said can fail for want of a character."""

import io
import os
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sac_gmm.cli.completion import all_options
from sac_gmm.core.terminal import take_any_text

ENCODINGS = ("ascii", "latin-1", "cp437", "koi8-r", "shift_jis", "utf-8")


def written(text, encoding, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stream)
        patched.setattr(sys, "stderr", None)  # closed by whoever started us
        take_any_text()
        print(text, end="", flush=True)
    return stream.buffer.getvalue()


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(text=st.text(st.characters()))
@example("\ud800 \udcff … \x00 \N{GREEK SMALL LETTER SIGMA} é \N{COMBINING ACUTE ACCENT} \N{GRINNING FACE}")
def test_any_text_is_written_in_any_encoding(encoding, text):
    with pytest.MonkeyPatch.context() as patch:
        said = written(text, encoding, patch)
    if text.isascii():
        assert said.decode("ascii").replace(os.linesep, "\n") == text.replace(os.linesep, "\n")


@pytest.mark.parametrize(
    ("text", "encoding", "said"),
    [
        ("5 µm, 3 × 2, ±1 … ‘so’ – “and” — on → •", "ascii", "5 um, 3 x 2, +/-1 ... 'so' - \"and\" - on -> *"),
        ("5 µm, 3 × 2, ±1 …", "latin-1", "5 µm, 3 × 2, ±1 ..."),
        ("5 µm, 3 × 2, ±1 …", "utf-8", "5 µm, 3 × 2, ±1 …"),
        ("σ = 20°, m², Grün", "ascii", "sigma = 20 deg, m2, Grun"),
        ("╭─ options ─╮ │x│ ┃", "latin-1", "+- options -+ |x| |"),
        ("名", "ascii", "?"),
    ],
)
def test_what_is_missing_is_written_with_what_comes_near(text, encoding, said, monkeypatch):
    assert written(text, encoding, monkeypatch).decode(encoding) == said


def test_the_name_of_a_file_that_is_no_text_is_written_as_it_is(monkeypatch):
    name = os.fsdecode(b"caf\xe9.mcap")
    assert written(name, "utf-8", monkeypatch) == b"caf\xe9.mcap"


def run(words, encoding, **environment):
    command = [sys.executable, "-m", "sac_gmm.cli.main", *words]
    variables = {**os.environ, "PYTHONIOENCODING": encoding, **environment}
    return subprocess.run(command, capture_output=True, env=variables, timeout=600, check=False)


ALL_HELPS = """
import io, sys
from sac_gmm.cli.completion import all_options
from sac_gmm.cli.main import main
for words in sorted(all_options()):
    try:
        code = main([*words.split(), "--help"])
    except SystemExit as end:
        code = end.code
    assert not code, words
"""


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_the_help_of_every_command_is_shown(encoding):
    done = subprocess.run(
        [sys.executable, "-c", ALL_HELPS],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    said = done.stdout.decode(encoding)
    assert all(f"sac-gmm {words}" in said for words in all_options() if words)


def test_in_the_plain_locale_of_c_the_help_is_shown_too():
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
    done = run(["demos", "record", "--help"], "", **plain)
    assert done.returncode == 0 and b"TASK_00, TASK_01, ...;" in done.stdout, done.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_what_a_person_typed_comes_back_in_the_complaint(tmp_path, encoding):
    done = run(["demos", "info", str(tmp_path / "Übung–名")], encoding)
    assert done.returncode == 2
    expected = {"latin-1": "Übung-?", "ascii": "Ubung-?", "utf-8": "Übung–名"}[encoding]
    assert f"{expected}: there is no such bag".encode(encoding) in done.stderr
