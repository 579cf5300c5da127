"""The command line itself: help, unknown commands, a reader that has seen enough."""

import errno
import os
import subprocess
import sys

import pytest

from sac_gmm.cli import inspect
from sac_gmm.cli.main import COMMANDS, main


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"sac-gmm {name}" in said for name in COMMANDS)


def test_an_unknown_command_lists_those_there_are(capsys):
    assert main(["dance"]) == 2
    said = capsys.readouterr().err
    assert "dance" in said and "fit" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_has_an_example(name):
    said = subprocess.run(
        [sys.executable, "-m", "sac_gmm.cli.main", name, "--help"], capture_output=True, text=True, timeout=60
    )
    assert said.returncode == 0, said.stderr
    assert f"sac-gmm {name}" in said.stdout


def test_a_reader_that_has_seen_enough_is_no_error():
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m sac_gmm.cli.main --help | true"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0 and done.stderr == ""


@pytest.mark.parametrize(
    ("number", "file", "words"),
    [
        (errno.EACCES, "x.npz", "x.npz: Permission denied; choose one that you may read"),
        (errno.ENOSPC, None, "No space left on device; make room on the disk"),
        (errno.EADDRINUSE, None, "Address already in use"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(number, file, words, monkeypatch, capsys):
    def refuse(args):
        raise OSError(number, os.strerror(number), file)

    monkeypatch.setattr(inspect, "main", refuse)
    assert main(["inspect"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"sac-gmm inspect: {words}") and said.count("\n") == 1


@pytest.mark.parametrize(("redirection", "code", "words"), [("> /dev/full", 2, "No space left"), (">&-", 0, "")])
def test_an_output_that_takes_nothing_is_no_traceback(redirection, code, words):
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m sac_gmm.cli.main --help {redirection}"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code and words in done.stderr
    assert "Traceback" not in done.stderr and done.stderr.count("\n") == (code != 0)
