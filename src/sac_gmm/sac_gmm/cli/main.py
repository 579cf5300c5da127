"""`sac-gmm COMMAND …`: finds the command's module, runs it, and prints user errors as one sentence."""

from __future__ import annotations

import errno
import importlib
import keyword
import os
import signal
import sys

from sac_gmm.core.errors import UserError
from sac_gmm.core.terminal import take_any_text

# Each command is a module of this package with `main(args) -> int`, imported only when used.
COMMANDS = {
    "demos": "inspect and check demonstrations, record new ones",
    "hands": "turn films of a hand into demonstrations; locate the camera",
    "fit": "fit a mixture to demonstration bags",
    "inspect": "describe a model file",
    "doctor": "check this machine, and suggest remedies",
    "completion": "print the shell completion for bash or zsh",
    "up": "start a launch file without `ros2 launch`",
    "robot": "prepare a robot for its episodes: teach where they begin",
    "adapt": "run episodes on nodes that are running: practise, measure, stop",
    "demo": "fit, measure, adapt, measure again: the whole chain over ROS 2",
    "train": "adapt a skill in simulation, in one process, reproducibly",
    "evaluate": "measure a skill on fixed episodes",
    "export": "write a trained skill as a folder with a model card, to pass on",
    "import": "take over such a folder",
    "probe": "measure what a trained agent learns from touch and pictures",
    "table": "the whole comparison: skills, tasks, seeds, noise",
    "noise-sweep": "measure the success of the skills as fitted against noise on the target",
    "urdf": "print the simulated arm for robot_state_publisher and RViz",
    "report": "write one page about one run",
    "view": "watch a robot, a bag or a training run in a browser",
    "film": "film an episode of a skill, with what its sensors see",
    "bench": "benchmark this project against a peer in the same run",
}

# Former names that still work.
_ALIASES = {"calibrate": "noise-sweep"}

# What to do when the system rejects a file.
_REMEDIES = {
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room on the disk",
    errno.EACCES: "choose one that you may read and write",
    errno.EPERM: "choose one that you may read and write",
    errno.EROFS: "choose one that you may read and write",
    errno.EISDIR: "give a file, not a folder",
    errno.ENOTDIR: "give a folder",
    errno.ENOENT: "check the name",
    errno.ENAMETOOLONG: "give a shorter name",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 bad input, 130 interrupted."""
    code = 0
    take_any_text()
    if argv is None:
        _end_as_by_ctrl_c()
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        if sys.stdout is not None:  # None if started with stdout closed
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output, such as `head`, has closed the pipe
        _say_no_more()
    except OSError as error:
        print(f"sac-gmm: the output cannot be written: {_sentence(error)}", file=sys.stderr)
        _say_no_more()
        code = 2
    return code


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    name, *rest = arguments
    name = _ALIASES.get(name, name)
    if name not in COMMANDS:
        print(f"sac-gmm: there is no command '{name}'; choose one of: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        return importlib.import_module(module_of(name)).main(rest)
    except UserError as error:
        print(f"sac-gmm {name}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"sac-gmm {name}: {_sentence(error)}", file=sys.stderr)
        return 2
    except MemoryError as error:
        print(f"sac-gmm {name}: there is not enough memory: {error or 'ask for less'}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nsac-gmm {name}: stopped", file=sys.stderr)
        return 130


def module_of(command: str) -> str:
    """The full name of a command's module."""
    name = f"{command}_" if keyword.iskeyword(command) else command.replace("-", "_")
    return f"sac_gmm.cli.{name}"


def _sentence(error: OSError) -> str:
    """The system's error, the file, and what to do if that is known."""
    file = f"{error.filename}: " if error.filename else ""
    remedy = f"; {_REMEDIES[error.errno]}" if error.errno in _REMEDIES else ""
    return f"{file}{error.strerror or error}{remedy}"


def _say_no_more() -> None:
    """Keep Python from complaining at exit about output that nobody reads."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end_as_by_ctrl_c() -> None:
    """Treat `kill` and a closed terminal like Ctrl-C, so that child processes are stopped and results are kept."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores the signal
            signal.signal(number, signal.default_int_handler)


def usage() -> str:
    """The list of commands, one line each."""
    width = max(map(len, COMMANDS))
    lines = [f"  sac-gmm {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "Usage: sac-gmm COMMAND [options]\n\n" + "\n".join(lines) + "\n\n`sac-gmm COMMAND --help` shows an example."


if __name__ == "__main__":
    sys.exit(main())
