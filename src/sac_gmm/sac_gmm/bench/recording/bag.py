"""Measure bags: how fast they are written and read, and whether recording two cameras drops messages.

    sac-gmm bench bag --json benchmarks/results/perception/bag.json

`rates`: our crash-safe writer against the plain one of rosbags, with the same messages (PoseStamped, and 640x480 colour
pictures), on the disk of the working folder. `recordings`: two 640x480 colour and depth streams at 30 Hz with poses,
twists and joint states at 120 Hz, sent by one process over DDS and recorded by `demo_recorder`, both on the same two
cores; `missing` counts messages that were sent but are not in the bag. With `images profile`, both processes use
config/rosbag/fastdds_images.xml.
"""

from __future__ import annotations

import json as json_
import os
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import tyro

from sac_gmm.bench.threads import use_one_thread
from sac_gmm.core.errors import UserError
from sac_gmm.core.processes import stop_program

STREAMS = "camera_0/color camera_0/depth camera_1/color camera_1/depth"
# name, compression, reliable pictures, images profile
RECORDINGS = (
    ("images profile", "none", True, True),
    ("images profile, compressed", "zstd", True, True),
    ("images profile, best effort", "none", False, True),
    ("default transports", "none", True, False),
)
N_SMALL, N_PICTURES = 20_000, 150


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(json: Path | None = None, seconds: float = 20.0, folder: Path = Path()) -> int:
        """Measure bags.

        Args:
            json: Write the numbers to this file.
            seconds: Length of each recording; 0 skips the recordings.
            folder: Where to write the bags, which are deleted afterwards; its disk is measured.
        """
        use_one_thread()
        from sac_gmm.bench.timing import write_result

        with tempfile.TemporaryDirectory(prefix=".bench_bag_", dir=folder) as name:
            results: dict[str, Any] = {"rates": rates(Path(name))}
            if seconds > 0.0:
                results["recordings"] = [recording(Path(name), seconds, *case) for case in RECORDINGS]
        write_result(json, "bag", args, results)
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench bag", description=__doc__)


def rates(folder: Path) -> list[dict[str, Any]]:
    """Messages per second: written and synced to disk, and read back."""
    import numpy as np
    from rosbags.highlevel import AnyReader
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    from sac_gmm.demos import EpisodeBagWriter
    from sac_gmm.demos.bags.message_types import IMAGE, POSE, pose_stamped, typestore

    rng = np.random.default_rng(0)
    store = typestore()
    poses = [
        bytes(store.serialize_cdr(pose_stamped(i * 10**7, "base", rng.normal(size=3)), POSE)) for i in range(N_SMALL)
    ]
    head = pose_stamped(0, "camera", [0, 0, 0]).header
    picture = rng.integers(0, 8, 640 * 480 * 3, dtype=np.uint8)
    image = bytes(store.serialize_cdr(store.types[IMAGE](head, 480, 640, "rgb8", 0, 1920, picture), IMAGE))
    print("messages per second            ours   rosbags   ratio      read")
    rows: list[dict[str, Any]] = []
    for kind, messages, compress in (
        (POSE, poses, True),
        (POSE, poses, False),
        (IMAGE, [image] * N_PICTURES, True),
        (IMAGE, [image] * N_PICTURES, False),
    ):
        name = f"{kind.rsplit('/', 1)[1]}{', zstd' if compress else ''}"
        times: dict[str, list[float]] = {"ours": [], "rosbags": []}
        for turn in range(3):
            ours, peer = folder / f"ours_{len(rows)}_{turn}", folder / f"peer_{len(rows)}_{turn}"
            start = time.perf_counter()
            with EpisodeBagWriter(ours, {"/x": kind}, compress=compress) as bag:
                for i, data in enumerate(messages):
                    bag.write("/x", data, log_time_ns=i)
            times["ours"].append(time.perf_counter() - start)
            start = time.perf_counter()
            writer = Writer(peer, version=9, storage_plugin=StoragePlugin.MCAP)
            if compress:
                writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            with writer:
                connection = writer.add_connection("/x", kind, typestore=store)
                for i, data in enumerate(messages):
                    writer.write(connection, i, data)
            os.sync()  # our writer has waited for the disk too
            times["rosbags"].append(time.perf_counter() - start)
        start = time.perf_counter()
        with AnyReader([ours], default_typestore=store) as reader:
            count = sum(1 for _ in reader.messages())
        read_s = time.perf_counter() - start
        row: dict[str, Any] = {
            "messages": name,
            "bytes_each": len(messages[0]),
            "ours_per_s": round(len(messages) / float(np.median(times["ours"]))),
            "rosbags_per_s": round(len(messages) / float(np.median(times["rosbags"]))),
            "read_per_s": round(count / read_s),
        }
        row["ratio"] = round(row["ours_per_s"] / row["rosbags_per_s"], 2)
        rows.append(row)
        print(f"{name:<24} {row['ours_per_s']:10} {row['rosbags_per_s']:9} {row['ratio']:7} {row['read_per_s']:9}")
    return rows


def recording(
    folder: Path, seconds: float, name: str, compression: str, reliable: bool, profile: bool
) -> dict[str, Any]:
    """Record for some seconds, and count what is missing in the bag."""
    from sac_gmm.launcher.packages import find_in_package, find_package

    environment = os.environ | {"ROS_DOMAIN_ID": str(1 + os.getpid() % 100), "OMP_NUM_THREADS": "1"}
    if profile:
        file = str(find_in_package("sac_gmm_bringup", "fastdds_images.xml"))
        environment |= {"FASTRTPS_DEFAULT_PROFILES_FILE": file, "FASTDDS_DEFAULT_PROFILES_FILE": file}
    work = Path(tempfile.mkdtemp(dir=folder))
    bag, result_file = work / "bag", work / "result.json"
    cores = sorted(os.sched_getaffinity(0))[:2]

    def start(node: str, **parameters: object) -> subprocess.Popen:
        arguments = [word for key, value in parameters.items() for word in ("-p", f"{key}:={value}")]
        command = [str(find_package("sac_gmm_nodes") / "lib" / "sac_gmm_nodes" / node), "--ros-args", *arguments]
        with (work / f"{node}.log").open("wb") as log:
            return subprocess.Popen(
                command,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    recorder = start("demo_recorder", reliable_state="true", extra_topics=STREAMS, compression=compression)
    load = start(
        "recording_load",
        seconds=seconds,
        path=bag.resolve(),
        result_file=result_file,
        reliable=str(reliable).lower(),
    )
    try:
        load.wait(seconds + 90.0)
    finally:
        for process in (load, recorder):
            stop_program(process, 20.0)
    if load.returncode or not result_file.exists():
        logs = "".join((work / f"{node}.log").read_text()[-500:] for node in ("demo_recorder", "recording_load"))
        raise UserError(f"the recording failed: {logs}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = json_.loads(result_file.read_text())
    missing = _missing(bag, result["sent"])
    processor_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    row = {
        "case": name,
        "seconds": seconds,
        "cores": len(cores),
        "sent": sum(result["sent"].values()),
        "missing": sum(missing.values()),
        "missing_by_topic": {topic: count for topic, count in missing.items() if count},
        "megabytes": round(sum(f.stat().st_size for f in bag.iterdir()) / 1e6, 1),
        "latest_s": result["latest_s"],
        "processor_share": round(processor_s / seconds / len(cores), 3),
    }
    print(
        f"{name:<28} {row['sent']} sent, {row['missing']} missing, {row['megabytes']} MB, "
        f"{100 * row['processor_share']:.0f} % of {len(cores)} cores, including start-up and shutdown of both programs",
        flush=True,
    )
    shutil.rmtree(bag)
    return row


def _missing(bag: Path, sent: dict[str, int]) -> dict[str, int]:
    """Messages that were sent but are not in the bag, by topic."""
    from rosbags.rosbag2 import Reader

    with Reader(bag) as reader:
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
    return {topic: count - counts.get(topic, 0) for topic, count in sent.items()}
