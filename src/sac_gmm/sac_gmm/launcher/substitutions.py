"""The substitutions of a launch file: `$(var)`, `$(env)`, `$(dirname)`, `$(find-pkg-share)`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from sac_gmm.core.errors import UserError
from sac_gmm.launcher.packages import find_package


class Scope:
    """What substitutions refer to.

    Attributes:
        variables: Values of arguments and of `let`.
        environment: What `set_env` has set.
        file: The launch file that is being read, for `$(dirname)`.
    """

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables = variables
        self.environment: dict[str, str] = {}
        self.file = Path()

    def expand(self, text: str, where: str = "", made: Callable[[str], str] = str) -> str:
        """Replace every `$(…)` in `text` with `made` of its value; a backslash takes the next character as it is."""
        return self._expand_until(text, 0, "", where or str(self.file), made)[0]

    def _expand_until(
        self, text: str, at: int, stops: str, where: str, made: Callable[[str], str] = str
    ) -> tuple[str, int]:
        """Read from `at` up to one of `stops` that is neither escaped nor inside a substitution of its own."""
        out = ""
        while at < len(text) and text[at] not in stops:
            if text[at] == "\\" and at + 1 < len(text):
                out += text[at + 1]
                at += 2
            elif text.startswith("$(", at):
                value, at = self._substitute(text, at + 2, where)
                out += made(value)
            else:
                out += text[at]
                at += 1
        return out, at

    def _substitute(self, text: str, at: int, where: str) -> tuple[str, int]:
        words = []
        while at < len(text) and text[at] != ")":
            if text[at] == " ":
                at += 1
                continue
            quote = text[at] if text[at] in "'\"" else ""
            word, at = self._expand_until(text, at + len(quote), quote or " )", where)
            words.append(word)
            at += len(quote)
        if at >= len(text):
            raise UserError(f"{where}: '{text}' has a '$(' that is not closed")
        return self._substitution(words, where), at + 1

    def _substitution(self, words: list[str], where: str) -> str:
        environment = os.environ | self.environment
        match words:
            case ["var", name, *default] if len(default) <= 1 and (name in self.variables or default):
                return self.variables.get(name, *default)
            case ["var", name]:
                raise UserError(f"{where}: $(var {name}) is not set; declare it with 'arg' or 'let' before")
            case ["env", name, *default] if len(default) <= 1 and (name in environment or default):
                return environment.get(name, *default)
            case ["env", name]:
                raise UserError(
                    f"{where}: the environment has no variable {name}; set it, or write $(env {name} DEFAULT)"
                )
            case ["dirname"]:
                return str(self.file.absolute().parent)
            case ["find-pkg-share", package]:
                return str(find_package(package) / "share" / package)
            case _:
                raise UserError(
                    f"{where}: `sac-gmm up` does not know $({' '.join(words)}); it knows $(var NAME [DEFAULT]), "
                    "$(env NAME [DEFAULT]), $(dirname), $(find-pkg-share PACKAGE). `ros2 launch` knows more"
                )
