"""A newcomer's path in its quick form: set-up, README, quick start and tutorial in a clone of the last commit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WALK = ROOT / "tests" / "newcomer" / "walk.py"


# Not among the nodes' tests, though it starts nodes: all of them run in lock-step, so that others may work beside it.
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(bool(os.environ.get("NEWCOMER")), reason="this is run by a walk")
@pytest.mark.usefixtures("ros_domain")
def test_a_newcomer_arrives():
    # On the disk of .venv, whose files are linked, not copied; runs/ belongs to nobody's results but this checkout's.
    (ROOT / "runs").mkdir(exist_ok=True)
    folder = ROOT / "runs" / f".newcomer-{os.getpid()}"
    try:
        done = subprocess.run(
            [sys.executable, str(WALK), "--quick", "--folder", str(folder)],
            capture_output=True,
            text=True,
            timeout=1750,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said[-4000:]
        assert said.count("works,") == 4
        run_dir = folder / "sac_gmm" / "runs"
        for written in (
            "door.npz",
            "first/report.html",
            "button/run/report.html",
        ):
            assert (run_dir / written).stat().st_size > 0
        # Nothing of this checkout was written to.
        assert str(folder) not in (ROOT / ".venv" / "bin" / "sac-gmm").read_text()
        assert str(folder) not in (ROOT / ".venv" / "pyvenv.cfg").read_text()
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)
