"""Inspect, check, cut, plot and export demonstration bags, salvage broken ones, or record new ones in simulation.

    sac-gmm demos info demos/door
    sac-gmm demos check demos/door
    sac-gmm demos trim demos/door -o /tmp/trimmed
    sac-gmm demos split appended -o /tmp/parts
    sac-gmm demos plot demos/door -o /tmp/door.png
    sac-gmm demos export demos/door -o /tmp/door.npz
    sac-gmm demos salvage demos/door
    sac-gmm demos record door -n 5 -o /tmp/my_door

A folder stands for the bags in it. Nothing is ever overwritten. Bags from `ros2 bag record` work too; if their topics
have other names, give these: `--pose-topic /ee_pose --target-topic /goal`, or `--target 0.5 0.0 0.3`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from sac_gmm.core.command_line import help_text, show_examples
from sac_gmm.core.errors import UserError
from sac_gmm.demos import TopicNames

if TYPE_CHECKING:
    from sac_gmm.demos import Demonstration

Names = Annotated[TopicNames, tyro.conf.arg(name="")]
OUR_NAMES = TopicNames()
Bags = tyro.conf.Positional[tuple[Path, ...]]


def main(args: list[str]) -> int:
    """Run a subcommand.

    Returns:
        0 if all is well, 1 if a bag has a problem that needs attention.
    """
    from tyro.extras import subcommand_cli_from_dict

    commands: dict[str, Callable[..., int]] = {
        "info": info,
        "check": check,
        "trim": trim,
        "split": split,
        "plot": plot,
        "export": export,
        "salvage": salvage,
        "record": record,
    }
    show_examples("sac-gmm demos", commands, __doc__)
    return subcommand_cli_from_dict(commands, args=args, prog="sac-gmm demos", description=help_text(__doc__))


def info(bags: Bags, /, names: Names = OUR_NAMES) -> int:
    """Print what is in bags.

    Args:
        bags: Rosbag2 folders, .mcap files, or folders of these.
        names: Topic names, if the bags are not from this project's recorder.
    """
    from sac_gmm.demos import find_bags, read_demonstration, unfinished

    for bag in find_bags(bags):
        demonstration = read_demonstration(bag, names)
        target = ", ".join(f"{value:.3f}" for value in demonstration.target_m)
        print(f"{bag}")
        print(f"  task      {demonstration.task or 'unknown'}")
        if (files := demonstration.meta["files"]) > 1:
            print(f"  files     {files}, read as the one recording that they are")
        print(f"  operator  {demonstration.meta['operator'] or 'unknown'}")
        print(f"  samples   {demonstration.n_samples} in {demonstration.duration_s:.2f} s")
        print(f"  target    ({target}) m in frame '{demonstration.frame_id}'")
    for partial in (partial for bag in bags if bag.is_dir() for partial in unfinished(bag)):
        print(f"{partial}\n  unfinished: `sac-gmm demos salvage {partial}` makes a bag of it")
    return 0


def check(bags: Bags, /, json: Path | None = None, names: Names = OUR_NAMES) -> int:
    """Check bags one by one and as a set for one skill.

    Args:
        bags: Rosbag2 folders, .mcap files, or folders of these.
        json: Also write the figures to this file.
        names: Topic names, if the bags are not from this project's recorder.
    """
    from sac_gmm.core.files import write_json
    from sac_gmm.demos import check_set

    report = check_set(_read(bags, names))
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


def trim(
    bags: Bags,
    /,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    start_s: float | None = None,
    end_s: float | None = None,
    names: Names = OUR_NAMES,
) -> int:
    """Trim bags, with all their topics, to the motion or to a span of time.

    Args:
        bags: Rosbag2 folders, .mcap files, or folders of these.
        output: Folder for the new bags, which keep their names.
        start_s: Start of the part to keep, in seconds from the first state; by default the start of the motion.
        end_s: End of the part to keep; by default the end of the motion.
        names: Topic names, if the bags are not from this project's recorder.
    """
    from sac_gmm.demos import find_bags
    from sac_gmm.demos import trim as trim_bag

    for bag, new in _outputs(find_bags(bags), output):
        start, end = trim_bag(bag, new, start_s, end_s, names)
        print(f"{new}: {start:.2f} s to {end:.2f} s of {bag}")
    return 0


def split(bags: Bags, /, output: Annotated[Path, tyro.conf.arg(aliases=["-o"])], names: Names = OUR_NAMES) -> int:
    """Make a bag of each recording in bags whose time begins anew, as where recordings were appended to each other.

    Args:
        bags: Rosbag2 folders, .mcap files, or folders of these.
        output: Folder for the new bags NAME_1, NAME_2, ….
        names: Topic names, if the bags are not from this project's recorder.
    """
    from sac_gmm.demos import find_bags, separate

    for bag in find_bags(bags):
        for new in separate(bag, output, names):
            print(new)
    return 0


def plot(bags: Bags, /, output: Annotated[Path, tyro.conf.arg(aliases=["-o"])], names: Names = OUR_NAMES) -> int:
    """Plot demonstrations over time, from above and from the side.

    Args:
        bags: Rosbag2 folders, .mcap files, or folders of these.
        output: The picture to write: .png, .svg or .pdf.
        names: Topic names, if the bags are not from this project's recorder.
    """
    from sac_gmm.demos import plot as draw

    draw(output, _read_and_warn(bags, names))
    print(f"wrote {output}")
    return 0


def export(bags: Bags, /, output: Annotated[Path, tyro.conf.arg(aliases=["-o"])], names: Names = OUR_NAMES) -> int:
    """Export demonstrations to a file of arrays or a table.

    Args:
        bags: Rosbag2 folders, .mcap files, or folders of these.
        output: The file to write: .npz or .csv.
        names: Topic names, if the bags are not from this project's recorder.
    """
    from sac_gmm.demos import export as write

    write(output, _read_and_warn(bags, names))
    print(f"wrote {output}")
    return 0


def salvage(sources: Bags, /, output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None) -> int:
    """Recover complete bags from recordings that were cut short, and report what is lost.

    Args:
        sources: Unfinished recordings (.NAME.partial), damaged bags or files, or folders of these. Never changed.
        output: Folder for the new bags; by default beside the old ones, as NAME or NAME_salvaged.
    """
    from sac_gmm.demos import find_unfinished
    from sac_gmm.demos import salvage as rescue

    failed = 0
    for source in find_unfinished(sources):
        try:
            done = rescue(source, folder=output)
            print("\n".join(done.lines()))
        except UserError as error:
            print(f"sac-gmm demos salvage: {error}", file=sys.stderr)
            failed += 1
    return 2 if failed else 0


def _read(bags: tuple[Path, ...], names: TopicNames) -> list[Demonstration]:
    from sac_gmm.demos import find_bags, read_demonstration

    return [read_demonstration(bag, names) for bag in find_bags(bags)]


def _read_and_warn(bags: tuple[Path, ...], names: TopicNames) -> list[Demonstration]:
    """What `check` would object to is said to whoever does not ask it."""
    from sac_gmm.demos import check_set

    demonstrations = _read(bags, names)
    for problem in check_set(demonstrations).all_problems:
        print(f"problem: {problem}", file=sys.stderr)
    return demonstrations


def _outputs(bags: list[Path], folder: Path) -> list[tuple[Path, Path]]:
    """Paths of the new bags; raises an error before writing if one exists or two have the same name."""
    pairs = [(bag, folder / bag.name.removesuffix(".mcap").removesuffix(".db3")) for bag in bags]
    for i, (bag, new) in enumerate(pairs):
        if new.exists():
            raise UserError(f"{new} exists and is never overwritten: choose another folder or remove it")
        if any(new == other for _, other in pairs[:i]):
            raise UserError(f"{bag}: there is another bag of that name: cut them into different folders")
    return pairs


def record(
    task: tyro.conf.Positional[str],
    number: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 5,
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None,
    seed: int = 0,
) -> int:
    """Record demonstrations by a scripted operator in simulation, over ROS 2.

    Args:
        task: Task to demonstrate.
        number: Number of demonstrations.
        output: Folder for the bags TASK_00, TASK_01, …; by default demos/TASK. No bag is ever overwritten.
        seed: Seed of the first scene and motion.
    """
    from sac_gmm.cli import up
    from sac_gmm.launcher.packages import find_in_package
    from sac_gmm.tasks import task_class

    task_class(task)
    if number < 1:
        raise UserError(f"{number} demonstrations cannot be recorded: give a number from 1 up")
    folder = (output or Path("demos") / task).resolve()
    taken = [path for path in (folder / f"{task}_{i:02d}" for i in range(number)) if path.exists()]
    if taken:
        raise UserError(f"{taken[0]} exists and is never overwritten: choose another folder or remove it")
    launch = find_in_package("sac_gmm_bringup", "teleoperate.launch.yaml")
    arguments = {"task": task, "episodes": number, "first_seed": seed, "folder": folder}
    code = up.main([str(launch), *(f"{name}:={value}" for name, value in arguments.items())])
    if code == 0:
        print(f"{number} demonstrations are in {folder}")
    return code
