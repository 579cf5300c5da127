"""Follow a newcomer's path: a fresh clone, then what README and the tutorials tell a reader to type, in that order.

    make newcomer                                   # as on an empty machine: the whole demo and `make test` too
    python3 tests/newcomer/walk.py --quick          # this checkout's packages; neither the demo nor `make test`
    python3 tests/newcomer/walk.py --folder /tmp/w  # keep the clone there

It clones the last commit of this checkout, reads the commands out of the clone's pages (tests/pages.py), and runs them
with nothing of this shell but PATH, HOME and what pip needs. The quick walk links the packages of this checkout's .venv
into the clone if its lock is the same, copies the kernels that numba has compiled from the same sources, and runs a
command that stands on several pages once; the packages of the workspace are built anew in any case. The exit code is 0
when every command worked. Needs nothing but Python and git.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import pages  # noqa: E402

# In the order in which a newcomer reads them.
WAY = ("README.md", "docs/index.md", "docs/your_task.md")
LONG = ("make demo", "make test")  # left out of the quick walk
_KEPT = re.compile(
    r"PATH|HOME|LANG|TERM|USER|TMPDIR|PIP_\w+|SSL_\w+|\w*_proxy|\w*_PROXY|PYTHON|TORCH_INDEX_URL|GPU|ROS_DOMAIN_ID"
)


def main() -> int:
    """Walk, and say how long each page took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="this checkout's packages, no demo, no `make test`")
    parser.add_argument("--folder", type=Path, help="where the clone goes and stays; a temporary folder by default")
    options = parser.parse_args()
    if options.folder is not None:
        return walk(options.folder.resolve(), options.quick)
    with tempfile.TemporaryDirectory(prefix="newcomer-") as folder:
        return walk(Path(folder), options.quick)


def walk(folder: Path, quick: bool) -> int:
    """Clone into `folder` and follow the pages there.

    Returns:
        0, or the exit code of the first command that failed; the commands and what they said are on standard output.
    """
    clone = folder / "sac_gmm"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    if quick:
        share_packages(clone)
        share_kernels(ROOT / "src", clone / "src")
    environment = {name: value for name, value in clean_environment().items() if _KEPT.fullmatch(name)}
    environment["NEWCOMER"] = "1"  # `make test` must not begin another walk
    for name, commands in scripts(clone, quick):
        start = time.monotonic()
        done = subprocess.run(["bash", "-c", commands], cwd=clone, env=environment, check=False)
        if done.returncode:
            print(f"newcomer: {name} failed at the last command above ({done.returncode})", flush=True)
            return done.returncode
        print(f"newcomer: {name} works, {time.monotonic() - start:.0f} s", flush=True)
    return 0


def scripts(clone: Path, quick: bool) -> Iterator[tuple[str, str]]:
    """The name of each step and its commands, in order."""
    left_out: set[str] = set()
    if quick:
        yield "make setup", "make setup"  # else the demo does it
        left_out |= set(LONG)
    for name in WAY:
        yield name, pages.script(clone / name, without=left_out, announced=True)
        if quick:
            commands = (command for block in pages.blocks(clone / name, "bash") for command in block.commands)
            left_out |= {command for command in commands if command.startswith("sac-gmm ")}


def clean_environment() -> dict[str, str]:
    """This shell's environment without what a sourced workspace has put on PATH."""
    path = [
        entry for entry in os.environ["PATH"].split(os.pathsep) if "/.venv/" not in entry and "/install/" not in entry
    ]
    return {**os.environ, "PATH": os.pathsep.join(path)}


def share_packages(clone: Path) -> bool:
    """Give the clone an environment whose files are links to those of this checkout's, if the lock is the same.

    What `make setup` writes anew, and what names the folder, becomes files of the clone's own.
    """
    ours, theirs = ROOT / ".venv", clone / ".venv"
    same_lock = (ROOT / "requirements.txt").read_bytes() == (clone / "requirements.txt").read_bytes()
    if not (ours / "setup-stamp").exists() or not same_lock:
        return False
    shutil.copytree(ours, theirs, symlinks=True, copy_function=link)
    for path in (theirs / "setup-stamp", theirs / "bin" / "sac-gmm", *theirs.glob("local_setup.*")):
        path.unlink(missing_ok=True)
    scripts = (path for path in (theirs / "bin").iterdir() if path.is_file() and not path.is_symlink())
    for path in (theirs / "pyvenv.cfg", *scripts):
        data = path.read_bytes()
        if str(ours).encode() in data:
            mode = path.stat().st_mode
            path.unlink()
            path.write_bytes(data.replace(str(ours).encode(), str(theirs).encode()))
            path.chmod(mode)
    return True


def share_kernels(ours: Path, theirs: Path) -> None:
    """Give a copy of a folder what numba has compiled from those sources that are the same there.

    numba tells the version of a source by its size and time.
    """
    for source in ours.rglob("*.py"):
        copy = theirs / source.relative_to(ours)
        kernels = [*source.parent.glob(f"__pycache__/{source.stem}.*.nb[ic]")]
        if kernels and copy.exists() and copy.read_bytes() == source.read_bytes():
            shutil.copystat(source, copy)
            for kernel in kernels:
                target = copy.parent / "__pycache__" / kernel.name
                target.parent.mkdir(exist_ok=True)
                shutil.copy2(kernel, target)


def link(source: str, target: str) -> None:
    """A second name for a file; a copy where the two places are on different disks."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


if __name__ == "__main__":
    sys.exit(main())
