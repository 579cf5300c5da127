"""Print the shell completion of this command: commands, options, their values, files.

    sac-gmm completion bash > ~/.local/share/bash-completion/completions/sac-gmm
    sac-gmm completion zsh > ~/.zfunc/_sac-gmm

Bash loads the first file automatically in a new shell. For Zsh, put `fpath+=~/.zfunc` before `compinit` in ~/.zshrc.
For the current shell only: `source <(sac-gmm completion bash)`.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import tyro

from sac_gmm.core.command_line import help_text


@dataclass(frozen=True)
class Option:
    """An option of a command.

    Attributes:
        flags: Its names, for example `--output` and `-o`.
        text: Type, meaning and default, as shown by `--help`.
        choices: The allowed values; empty if they are not a fixed set.
    """

    flags: tuple[str, ...]
    text: str
    choices: tuple[str, ...] = ()


_HELP = Option(("-h", "--help"), "")


def main(args: list[str]) -> int:
    """Print a completion script."""
    return tyro.cli(completion, args=args, prog="sac-gmm completion", description=help_text(__doc__))


def completion(shell: tyro.conf.Positional[Literal["bash", "zsh"]]) -> int:
    """Print a completion script.

    Args:
        shell: The shell to print it for.
    """
    print(script(shell, all_options()))
    return 0


def all_options() -> dict[str, list[Option]]:
    """Options of every command and subcommand, by its words: `fit`, `demos check`, `bench gmr`; "" for `sac-gmm`."""
    from sac_gmm.bench import registry
    from sac_gmm.cli.main import COMMANDS, module_of

    found = {"": [_HELP], "bench": [_HELP]}
    modules = {name: module_of(name) for name in COMMANDS if name != "bench"}
    modules |= {f"bench {name}": registry.module_of(name) for name in registry.BENCHMARKS}
    for words, module in modules.items():
        found |= _options(words, importlib.import_module(module).main)
    return found


def _options(words: str, command: Callable[[list[str]], int]) -> dict[str, list[Option]]:
    """Options of a command from tyro, or from `--help` if the command parses its arguments without tyro."""
    known = re.search(r"^COMPLETION_SPEC = (.*)$", _printed(command, "--tyro-print-completion", "bash"), re.MULTILINE)
    if known is not None:
        return _walk(words, ast.literal_eval(known[1]))
    flags = re.findall(r"(?<![\w-])--?[a-z][\w-]*", _printed(command, "--help"))
    return {words: [Option((flag,), "") for flag in dict.fromkeys(flags)]}


def _printed(command: Callable[[list[str]], int], *args: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
        command(list(args))
    return said.getvalue()


def _walk(words: str, specification: dict[str, Any]) -> dict[str, list[Option]]:
    known = specification["options"]
    found = {
        words: [
            Option(tuple(one["flags"]), one["description"], tuple(map(str, one.get("choices", ())))) for one in known
        ]
    }
    for name, inner in specification["subcommands"].items():
        found |= _walk(f"{words} {name}", inner)
    return found


def script(shell: Literal["bash", "zsh"], options: dict[str, list[Option]]) -> str:
    """The completion script.

    Args:
        shell: The shell.
        options: Options by command, from `all_options`.
    """
    table: dict[str, Sequence[str]] = {}
    for words, known in options.items():
        here = f"sac-gmm {words}".strip()
        inner = [other.split()[-1] for other in options if other and " ".join(other.split()[:-1]) == words]
        table[f"words {here}"] = inner
        table[f"flags {here}"] = [flag for option in known for flag in option.flags]
        table |= {f"values {here} {flag}": option.choices for option in known for flag in option.flags}
    cases = [
        f"        {shlex.quote(key)}) echo {shlex.quote(' '.join(values))} ;;"
        for key, values in table.items()
        if values
    ]
    return _SCRIPTS[shell].replace("CASES", "\n".join(cases))


_TABLE = """_sac_gmm_known() {
    case "$1" in
CASES
    esac
}
"""
_CHOOSE = """    for word in "${before[@]}"; do
        [[ " $(_sac_gmm_known "words $here") " == *" $word "* ]] || break
        here="$here $word"
    done
    known="$(_sac_gmm_known "values $here $last")"
    if [[ -z $known && $now == -* ]]; then known="$(_sac_gmm_known "flags $here")"; fi
    if [[ -z $known ]]; then known="$(_sac_gmm_known "words $here")"; fi
"""
_SCRIPTS = {
    "bash": f"""# Completion of sac-gmm for bash, printed by `sac-gmm completion bash`.
{_TABLE}
_sac_gmm() {{
    local here=sac-gmm word known now="${{COMP_WORDS[COMP_CWORD]}}" last="${{COMP_WORDS[COMP_CWORD - 1]}}"
    local -a before=("${{COMP_WORDS[@]:1:COMP_CWORD - 1}}")
{_CHOOSE}    mapfile -t COMPREPLY < <(compgen -W "$known" -- "$now")
}}
complete -o default -F _sac_gmm sac-gmm""",
    "zsh": f"""#compdef sac-gmm
# Completion of sac-gmm for zsh, printed by `sac-gmm completion zsh`.
{_TABLE}
_sac_gmm() {{
    local here=sac-gmm word known now="$PREFIX" last="${{words[CURRENT - 1]}}"
    local -a before=("${{(@)words[2,CURRENT - 1]}}")
{_CHOOSE}    if [[ -n $known ]]; then compadd -- ${{=known}}; else _files; fi
}}
if [[ $funcstack[1] == _sac-gmm ]]; then _sac_gmm "$@"; else compdef _sac_gmm sac-gmm; fi""",
}
