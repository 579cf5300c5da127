"""Look at demonstration bags, judge them, or record new ones in simulation.

    sac-gmm demos info demos/door
    sac-gmm demos check demos/door
    sac-gmm demos record door -n 5 -o /tmp/my_door

A folder stands for the bags in it. Nothing is ever overwritten.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import tyro

from sac_gmm.errors import SacGmmError

Bags = tyro.conf.Positional[tuple[Path, ...]]


def main(args: list[str]) -> int:
    """Run a subcommand.

    Returns:
        0 when all is well, 1 when a bag has a problem that a person should look at.
    """
    from tyro.extras import subcommand_cli_from_dict

    commands: dict[str, Callable[..., int]] = {"info": info, "check": check, "record": record}
    examples = (__doc__ or "").replace("    sac-gmm", "    $ sac-gmm")  # tyro would join lines that begin with a letter
    return subcommand_cli_from_dict(commands, args=args, prog="sac-gmm demos", description=examples)


def info(bags: Bags, /) -> int:
    """Say what is in bags.

    Args:
        bags: Rosbag2 folders, .mcap files, or folders of such.
    """
    from sac_gmm.demos import find_bags, read_demonstration

    for bag in find_bags(bags):
        demonstration = read_demonstration(bag)
        target = ", ".join(f"{value:.3f}" for value in demonstration.target_m)
        print(f"{bag}")
        print(f"  task      {demonstration.task or 'unknown'}")
        print(f"  operator  {demonstration.meta['operator'] or 'unknown'}")
        print(f"  samples   {demonstration.n_samples} in {demonstration.duration_s:.2f} s")
        print(f"  target    ({target}) m in frame '{demonstration.frame_id}'")
    return 0


def check(bags: Bags, /, json: Path | None = None) -> int:
    """Judge bags one by one and as a set for one skill.

    Args:
        bags: Rosbag2 folders, .mcap files, or folders of such.
        json: Write the figures to this file too.
    """
    from sac_gmm.demos import check_set, find_bags, read_demonstration
    from sac_gmm.files import write_json

    report = check_set([read_demonstration(bag) for bag in find_bags(bags)])
    print("bag               samples  seconds     Hz  dropped  gap ms  path m  top m/s  end relative to target m")
    for one in report.demonstrations:
        end = " ".join(f"{value:+.3f}" for value in one.end_m)
        print(
            f"{one.name:<16} {one.n_samples:8d} {one.duration_s:8.2f} {one.rate_hz:6.1f} {one.dropped:8d} "
            f"{one.longest_gap_s * 1e3:7.0f} {one.path_m:7.3f} {one.top_speed_m_s:8.3f}  {end}"
        )
    print(f"spread of the starts {report.start_spread_m * 1e3:.1f} mm, of the ends {report.end_spread_m * 1e3:.1f} mm")
    for problem in report.all_problems:
        print(f"problem: {problem}")
    if json is not None:
        write_json(json, report.as_dict())
    return 1 if report.all_problems else 0


def record(
    task: tyro.conf.Positional[str],
    number: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 5,
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None,
    seed: int = 0,
) -> int:
    """Record demonstrations of a scripted person in simulation, over ROS 2.

    Args:
        task: What to show.
        number: How many demonstrations.
        output: Folder for the bags TASK_00, TASK_01, …; demos/TASK where none is given. No bag is ever overwritten.
        seed: Of the first scene and motion.
    """
    from sac_gmm.cli import up
    from sac_gmm.cli.launch_yaml import find_in_package
    from sac_gmm.tasks import TASKS

    if task not in TASKS:
        raise SacGmmError(f"there is no task '{task}'; choose one of: {', '.join(TASKS)}")
    if number < 1:
        raise SacGmmError(f"{number} demonstrations cannot be recorded: give a number from 1 up")
    folder = (output or Path("demos") / task).resolve()
    taken = [path for path in (folder / f"{task}_{i:02d}" for i in range(number)) if path.exists()]
    if taken:
        raise SacGmmError(f"{taken[0]} exists and is never overwritten: choose another folder or remove it")
    launch = find_in_package("sac_gmm_bringup", "teleoperate.launch.yaml")
    arguments = {"task": task, "episodes": number, "first_seed": seed, "folder": folder}
    code = up.main([str(launch), *(f"{name}:={value}" for name, value in arguments.items())])
    if code == 0:
        print(f"{number} demonstrations lie in {folder}")
    return code
