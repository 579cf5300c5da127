"""`sac-gmm up`: the processes that it starts, and how they come to their end."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sac_gmm.cli import up
from sac_gmm.core.errors import UserError

PATIENCE_S = 120.0  # ends what hangs


@contextlib.contextmanager
def running(path: Path, *arguments: str, before: str = ""):
    """`sac-gmm up` in a process of its own, after a line of Python; killed at the end whatever happens."""
    program = f"{before}\nimport sys; from sac_gmm.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "up", str(path), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def read_until(process: subprocess.Popen, *texts: str) -> str:
    """Read until all texts have come; what was read."""
    seen = ""
    for line in process.stdout:
        seen += line
        if all(text in seen for text in texts):
            return seen
    raise AssertionError(f"{texts} never came:\n{seen}")


def wait_until(condition, what: str) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_s, f"waited in vain for {what}"
        time.sleep(0.02)


def run(path: Path, *arguments: str) -> tuple[int, str]:
    with running(path, *arguments) as process:
        output, _ = process.communicate(timeout=PATIENCE_S)
        return process.returncode, output


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet collected does not."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def test_unknown_argument_is_one_sentence_and_exit_code_2(launch_file):
    code, output = run(launch_file("  - node: {pkg: pets, exec: show}\n"), "seed:=1")
    assert code == 2
    assert output.count("\n") == 1
    assert "no argument 'seed': it takes none" in output


def test_output_is_marked_and_parameters_arrive(launch_file):
    code, output = run(
        launch_file(
            "  - node: {pkg: pets, exec: show, name: cat, env: [{name: PET, value: x}], param: [{name: a, value: 5}]}\n"
        )
    )
    assert code == 0
    assert re.search(r"^\[cat\] ARGS --ros-args -r __node:=cat --params-file \S+\.yaml$", output, flags=re.MULTILINE)
    assert "[cat]     a: 5\n" in output
    assert "[cat] PET=x\n" in output
    assert "stand-in for `ros2 launch`" in output


def test_package_and_file_name(package, capfd):
    text = "launch:\n  - node: {pkg: pets, exec: show}\n"
    (package / "share" / "pets" / "launch" / "one.launch.yaml").write_text(text)
    assert up.main(["pets", "one.launch.yaml"]) == 0
    assert "[show] ARGS" in capfd.readouterr().out
    with pytest.raises(UserError, match=r"no file named 'two\.launch\.yaml'"):
        up.main(["pets", "two.launch.yaml"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on_and_the_end_is_clean(launch_file, number):
    with running(
        launch_file("  - node: {pkg: pets, exec: patient}\n  - node: {pkg: pets, exec: patient}\n")
    ) as process:
        read_until(process, "[patient] ready", "[patient-2] ready")
        process.send_signal(number)
        rest, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "[patient] bye" in rest
    assert "[patient-2] bye" in rest


def test_a_required_node_that_dies_ends_all_the_others(launch_file):
    code, output = run(
        launch_file(
            "  - node: {pkg: pets, exec: patient}\n  - node: {pkg: pets, exec: fail, name: heart, on_exit: shutdown}\n"
        )
    )
    assert code == 1
    assert "heart: ended with exit code 3" in output
    assert "heart is required: stopping all the others" in output
    assert "patient: ended" in output and "sending SIGTERM" not in output


def test_another_node_that_dies_stops_nobody(launch_file):
    with running(launch_file("  - node: {pkg: pets, exec: chatty}\n  - node: {pkg: pets, exec: fail}\n")) as process:
        read_until(process, "fail: ended with exit code 3")
        for _ in range(10):
            read_until(process, "here")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


def test_ends_by_itself_when_all_nodes_have(launch_file):
    assert run(launch_file("  - node: {pkg: pets, exec: finish, on_exit: shutdown}\n"))[0] == 0
    assert run(launch_file("  - node: {pkg: pets, exec: fail}\n"))[0] == 1


def test_respawn(launch_file):
    path = launch_file('  - node: {pkg: pets, exec: fail, respawn: "true", respawn_delay: 0.2}\n')
    with running(path) as process:
        for _ in range(3):
            read_until(process, "fail: ended with exit code 3")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


def test_a_stubborn_node_is_killed(launch_file, monkeypatch):
    path = launch_file("  - node: {pkg: pets, exec: stubborn, sigterm_timeout: 0.3}\n")
    with running(path, before="from sac_gmm.launcher import supervisor; supervisor.KILL_AFTER_S = 3600.0") as process:
        pid = int(re.search(r"pid (\d+)", read_until(process, "[stubborn] ready"))[1])
        process.send_signal(signal.SIGINT)
        read_until(process, "sending SIGTERM")
        process.send_signal(signal.SIGINT)  # a second Ctrl-C does not wait for that hour
        rest, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "killing it" in rest
    assert not alive(pid)


def test_helpers_of_a_dead_node_end_too(launch_file):
    code, output = run(launch_file("  - node: {pkg: pets, exec: parent}\n"))
    helper = int(re.search(r"helper (\d+)", output)[1])
    assert code == 1
    assert not alive(helper)


def test_no_node_outlives_a_launcher_that_was_killed(launch_file):
    with running(launch_file("  - node: {pkg: pets, exec: patient}\n")) as process:
        pid = int(re.search(r"pid (\d+)", read_until(process, "[patient] ready"))[1])
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid), "the node to end")


def test_nobody_reads_the_output(launch_file, package):
    """`sac-gmm up … | head -1` must not stop the nodes or block them."""
    said = package / "lib" / "pets" / "chatty.said"
    with running(launch_file("  - node: {pkg: pets, exec: chatty}\n")) as process:
        read_until(process, "here")
        process.stdout.close()
        before = said.stat().st_size
        wait_until(lambda: said.stat().st_size > before + 20, "the node to go on")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_S) == 0
