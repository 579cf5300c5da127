"""Completion in real shells."""

import shutil
import subprocess
import sys

import pytest

from sac_gmm.cli.completion import all_options, script
from sac_gmm.cli.main import COMMANDS

OPTIONS = all_options()


def completed(*words):
    """What bash would offer for the last word."""
    program = script("bash", OPTIONS) + (
        '\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sac_gmm; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-euc", program, "bash", "sac-gmm", *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return set(done.stdout.split())


def test_it_knows_every_command():
    assert set(COMMANDS) <= {words.split()[0] for words in OPTIONS if words}
    assert completed("") == set(COMMANDS)


def test_it_completes_commands_options_and_choices():
    assert completed("insp") == {"inspect"}
    assert completed("demos", "tr") == {"trim"}
    assert completed("bench", "gm") == {"gmr"}
    assert completed("demos", "trim", "--st") == {"--start-s"}
    assert completed("fit", "--model", "") == {"gmm", "seds", "lpv_ds"}
    assert completed("up", "--sh") == {"--show-args"}
    assert completed("fit", "demos/") == set(), "files are left to the shell"


def test_bash_falls_back_to_files():
    registered = subprocess.run(
        ["bash", "-c", script("bash", OPTIONS) + "\ncomplete -p sac-gmm"], capture_output=True, text=True, timeout=120
    )
    assert registered.stdout.split() == ["complete", "-o", "default", "-F", "_sac_gmm", "sac-gmm"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
@pytest.mark.parametrize("words, offered", [(("fit", "--model"), {"gmm", "seds", "lpv_ds"}), ((), set(COMMANDS))])
def test_zsh_is_offered_the_same(words, offered):
    """The completion system's own functions say what they are given."""
    program = f"""
compdef() {{ print -- registered $@ }}
compadd() {{ print -- $@ }}
{script("zsh", OPTIONS)}
words=(sac-gmm {" ".join(words)} "") CURRENT={len(words) + 2} PREFIX=""
_sac_gmm
"""
    done = subprocess.run(["zsh", "-fc", program], capture_output=True, text=True, timeout=300)
    assert done.stderr == ""
    registered, given = done.stdout.strip().splitlines()
    assert registered == "registered _sac_gmm sac-gmm" and set(given.split()) - {"--"} == offered


def test_the_command_prints_it_and_refuses_other_shells():
    command = [sys.executable, "-m", "sac_gmm.cli.main", "completion"]
    for shell, first in (("bash", "# Completion of sac-gmm for bash"), ("zsh", "#compdef sac-gmm")):
        done = subprocess.run([*command, shell], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and done.stdout.startswith(first)
    assert subprocess.run([*command, "fish"], capture_output=True, timeout=300).returncode == 2
