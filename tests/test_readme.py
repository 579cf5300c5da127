"""Every command of the README and of the pages in docs/, run as it stands there."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
# `make test` is what runs this.
RUN_BY_THIS_VERY_RUN = {"make test"}
FEW_EPISODES = "--base-episodes 1 --training-episodes 1 --test-episodes 1"


def commands(text):
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


PAGES = {page.name: commands(page.read_text()) for page in sorted((ROOT / "docs").glob("*.md"))}


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.timeout(290)
def test_the_commands_work_one_after_the_other(tmp_path):
    """In one shell, as a newcomer types them; results go to another folder, the demo runs few episodes."""
    script = ["set -e"]
    assert len(commands(README)) >= 8
    for command in commands(README):
        if command in RUN_BY_THIS_VERY_RUN:
            continue
        script.append(command.replace("runs/", f"{tmp_path}/"))
    environment = {
        **os.environ,
        "ROS_DOMAIN_ID": str(80 + os.getpid() % 20),
        "DEMO_ARGS": f"--run-dir {tmp_path / 'demo'} {FEW_EPISODES}",
    }
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (tmp_path / "demo" / "result.json").exists()
    assert (tmp_path / "door.npz").exists()


@pytest.mark.slow
@pytest.mark.parametrize("page", [name for name, found in PAGES.items() if found])
def test_the_commands_of_a_page_work_one_after_the_other(page, tmp_path):
    (tmp_path / "demos").symlink_to(ROOT / "demos")
    script = "\n".join(["set -e", *PAGES[page]])
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_what_needs_ros2_from_apt_names_files_and_interfaces_that_exist():
    block = re.search(r"```console\n(.*?)```", README, flags=re.DOTALL)
    assert block is not None
    launched = re.search(r"ros2 launch sac_gmm_bringup (\S+)", block[1])
    action = re.search(r"sac_gmm_interfaces/action/(\w+)", block[1])
    assert launched is not None and (ROOT / "launch" / launched[1]).exists()
    assert action is not None and (ROOT / f"src/sac_gmm_interfaces/action/{action[1]}.action").exists()


def test_every_path_it_links_to_exists():
    linked = re.findall(r"\]\(([^)]+)\)", README)
    assert linked
    assert [path for path in linked if not (ROOT / path).exists()] == []


def test_every_node_it_names_exists():
    row = next(line for line in README.splitlines() if line.startswith("| `src/sac_gmm_nodes`"))
    nodes = re.findall(r"`(\w+)`", row.split("|")[2])
    assert len(nodes) >= 8
    assert [n for n in nodes if not (ROOT / f"src/sac_gmm_nodes/sac_gmm_nodes/{n}.py").exists()] == []
