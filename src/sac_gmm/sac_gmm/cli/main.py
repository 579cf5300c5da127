"""`sac-gmm COMMAND …`: finds the command's module, runs it, and turns errors meant for a person into one sentence."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys

from sac_gmm.core.errors import UserError
from sac_gmm.core.terminal import take_any_text

# Each command is a module of this package with `main(args) -> int`, imported only when it is asked for.
COMMANDS = {
    "demos": "look at demonstrations, judge them, record new ones",
    "hands": "make demonstrations of films of a hand; place the camera",
    "fit": "fit a mixture to demonstration bags",
    "inspect": "say what is in a model file",
    "doctor": "check this machine, and say what to do",
    "completion": "print the completion of this command for bash or zsh",
    "up": "start a launch file where `ros2 launch` is missing",
    "demo": "fit, measure, adapt, measure again: the whole chain over ROS 2",
    "train": "adapt a skill in simulation, in one process, repeatably",
    "evaluate": "measure a skill on fixed episodes",
    "probe": "measure what touch and pictures tell a trained agent",
    "table": "the whole comparison: skills, tasks, seeds, noise",
    "noise-sweep": "measure how often the skills as fitted succeed, over the noise on the target",
    "urdf": "print the simulated arm for robot_state_publisher and RViz",
    "report": "write one page about one run",
    "view": "watch a robot, a bag or a training run in a browser",
    "film": "film an episode of a skill, with what its sensors see",
    "bench": "measure ours and a peer in the same run",
}

# Former names that still work.
_ALIASES = {"calibrate": "noise-sweep"}

# What to do when the system refuses a file.
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
        if sys.stdout is not None:  # None where we were started with it closed
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output, `head` for one, has seen enough
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
    return f"sac_gmm.cli.{command.replace('-', '_')}"


def _sentence(error: OSError) -> str:
    """What the system refused, on which file, and what to do where that is known."""
    file = f"{error.filename}: " if error.filename else ""
    remedy = f"; {_REMEDIES[error.errno]}" if error.errno in _REMEDIES else ""
    return f"{file}{error.strerror or error}{remedy}"


def _say_no_more() -> None:
    """Keep Python from complaining at the end about output that nobody takes."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end_as_by_ctrl_c() -> None:
    """Take `kill` and a closed terminal for Ctrl-C: what was started must be stopped, what was made must be kept."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup has it ignored
            signal.signal(number, signal.default_int_handler)


def usage() -> str:
    """The list of commands, one line each."""
    width = max(map(len, COMMANDS))
    lines = [f"  sac-gmm {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "Usage: sac-gmm COMMAND [options]\n\n" + "\n".join(lines) + "\n\n`sac-gmm COMMAND --help` shows an example."


if __name__ == "__main__":
    sys.exit(main())
