"""What all nodes share: how they start, end and declare their parameters.

A node is a class over `BaseNode`; its `main` is

    def main() -> None:
        run_node(MyNode)
"""

from __future__ import annotations

import array
import dataclasses
import faulthandler
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Generator, Sequence
from typing import Any, TypeVar

import rclpy
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from sac_gmm_interfaces.msg import Heartbeat

from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import range_text
from sac_gmm_nodes.common.early import shell_to_blame
from sac_gmm_nodes.common.qos import RELIABLE

Settings = TypeVar("Settings")

_SPIN_S = 0.1  # longest delay before the main thread notices a signal
_HEARTBEAT_S = 0.5


class Turn:
    """Awaited in a coroutine callback, it lets the executor run other ready callbacks for at most `_SPIN_S`.

    The callback's group must be reentrant; otherwise nothing else in that group runs until the callback has ended.
    """

    def __await__(self) -> Generator[None, None, None]:
        yield


class BaseNode(Node):
    """A node that shuts down cleanly: `stopping` is set on Ctrl-C, and `close` runs while publishing still works.

    It publishes a heartbeat while its callbacks run and `alive` is true.
    """

    end_timeout_s = 8.0  # a node that takes longer prints where it hangs and is terminated
    # In lock-step everybody waits for every message. rclpy's executor that is driven by events hands one over in a
    # third of the time, but runs no coroutines.
    driven_by_events = False

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.stopping = threading.Event()
        self.failed = False
        self._threads: list[threading.Thread] = []
        self._heartbeats = self.create_publisher(Heartbeat, "heartbeat", RELIABLE)
        # On the steady clock: simulated time may stand still.
        self.steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_HEARTBEAT_S, self._beat, clock=self.steady_clock)
        self.add_pre_set_parameters_callback(self._as_declared)

    @property
    def alive(self) -> bool:
        """Whether the node does its work; otherwise the heartbeat stops."""
        return True

    @property
    def lifecycle_state(self) -> int:
        """One of lifecycle_msgs/State; 0 for a node without a lifecycle."""
        return 0

    @property
    def name_below_root(self) -> str:
        """Namespace and name, which distinguish the nodes of two robots in the diagnostics."""
        return self.get_fully_qualified_name().lstrip("/")

    def count_publishers(self, topic_name: str) -> int:
        """The number of publishers on a topic under its remapped name; rclpy's own method ignores remapping."""
        return super().count_publishers(self.resolve_topic_name(topic_name))

    def refuse_stale(self, stamp_ns: int, max_age_s: float, what: str) -> None:
        """Check that something is a present one, by its stamp and this node's clock.

        Raises:
            UserError: It is too old, or from another clock.
        """
        now_ns = self.get_clock().now().nanoseconds
        age_s = (now_ns - stamp_ns) * 1e-9
        if now_ns and abs(age_s) > max_age_s:  # 0: simulated time that has not started
            raise UserError(
                f"the {what} is {age_s:.1f} s old by this node's clock (limit {max_age_s:g} s): use the same time "
                "source (use_sim_time) everywhere, or find out what delays it"
            )

    def _beat(self) -> None:
        if self.alive:
            beat = Heartbeat(node=self.get_fully_qualified_name(), lifecycle_state=self.lifecycle_state)
            beat.header.stamp.sec, beat.header.stamp.nanosec = divmod(time.time_ns(), 1_000_000_000)
            self._heartbeats.publish(beat)

    def make_executor(self) -> Executor:
        """The executor that runs this node's callbacks."""
        return SingleThreadedExecutor() if not self.driven_by_events else EventsExecutor()

    def spin(self, executor: Executor) -> None:
        """Run callbacks until the node is asked to stop."""
        while not self.stopping.is_set():
            executor.spin_once(timeout_sec=_SPIN_S)

    def run_thread(self, target: Callable[[], None]) -> threading.Thread:
        """Run `target` in its own thread; if it raises, its traceback is logged and the node ends.

        `target` must return soon after `stopping` is set.
        """

        def guarded() -> None:
            try:
                target()
            except Exception:
                self.get_logger().fatal(traceback.format_exc())
                self.failed = True
                self.stopping.set()

        thread = threading.Thread(target=guarded, name=target.__name__, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def join_threads(self, timeout_s: float = 5.0) -> None:
        """Wait for the threads started with `run_thread`."""
        for thread in self._threads:
            thread.join(timeout_s)

    def close(self) -> None:
        """Leave everything at rest. Called once, after the last callback."""

    # Parameters. Dynamic typing lets users write 30 where 30.0 is meant. The range is checked here, because rclpy's own
    # message does not state it well; the descriptor carries it for `ros2 param describe`.

    def text(self, name: str, default: str, description: str, choices: Sequence[str] = ()) -> str:
        """Declare a text parameter and return its value.

        Raises:
            UserError: The value is not one of `choices`.
        """
        value = self._given(name, default)
        wanted = f"one of: {', '.join(choices)}" if choices else "a text"
        if not isinstance(value, str) or (choices and value not in choices):
            raise UserError(f"parameter {name} = {value!r}: expected {wanted}")
        self._declare(name, value, ParameterDescriptor(description=f"{description} [{wanted}]"))
        return value

    def texts(self, name: str, default: Sequence[str], description: str) -> list[str]:
        """Declare a parameter that is a list of texts and return its value; empty texts in it are ignored."""
        value = [entry for entry in self._given(name, list(default)) if entry is not None]  # rclpy reads [] as [None]
        if not all(isinstance(entry, str) for entry in value):
            raise UserError(f"parameter {name} = {value!r}: expected a list of texts")
        # rclpy cannot tell the type of an empty list.
        self._declare(name, list(value) or [""], ParameterDescriptor(description=f"{description} [list of texts]"))
        return [entry for entry in value if entry]

    def flag(self, name: str, default: bool, description: str) -> bool:
        """Declare a parameter that is true or false and return its value."""
        value = self._given(name, default)
        if not isinstance(value, bool):
            raise UserError(f"parameter {name} = {value!r}: expected true or false")
        self._declare(name, value, ParameterDescriptor(description=description))
        return value

    def whole(self, name: str, default: int, low: int, high: int, description: str) -> int:
        """Declare a whole-number parameter within [low, high] and return its value."""
        value = self._given(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise UserError(f"parameter {name} = {value!r} is out of range: expected a whole number, {low} to {high}")
        self._declare(name, value, _descriptor(f"{description} [{low} to {high}]", value, low, high))
        return value

    def wholes(self, name: str, default: Sequence[int], low: int, high: int, description: str) -> list[int]:
        """Declare a parameter that is a list of whole numbers within [low, high] and return its value."""
        value = self._given(name, list(default))
        value = list(value) if isinstance(value, (list, tuple, array.array)) else [value]
        value = [entry for entry in value if entry is not None]  # rclpy reads [] as [None]
        for entry in value:
            if isinstance(entry, bool) or not isinstance(entry, int) or not low <= entry <= high:
                raise UserError(f"parameter {name} = {value!r}: expected a list of whole numbers, {low} to {high}")
        self._declare(name, value, ParameterDescriptor(description=f"{description} [{low} to {high}, a list]"))
        if not value:  # rclpy takes an empty list for one of bytes
            self._parameters[name] = Parameter(name, Parameter.Type.INTEGER_ARRAY, [])
        return value

    def real(
        self, name: str, default: float, low: float, high: float, unit: str, description: str, *, tunable: bool = False
    ) -> float:
        """Declare a number parameter within [low, high] and return its value.

        A `tunable` parameter may be set while the node runs; the node handles the change itself.
        """
        value = self._given(name, default)
        wanted = f"{low:g} to {high:g} {unit}".rstrip()
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise UserError(f"parameter {name} = {value!r} is out of range: expected {wanted}")
        descriptor = _descriptor(f"{description} [{wanted}]", float(value), low, high)
        self._declare(name, float(value), descriptor, read_only=not tunable)
        return float(value)

    def settings(self, kind: type[Settings], without: Collection[str] = ()) -> Settings:
        """Declare one parameter per field of a settings class of `sac_gmm.control`; return an instance with the values.

        Fields named in `without` are not declared and keep their defaults.

        Raises:
            UserError: A value is out of range.
        """
        fields = [field for field in dataclasses.fields(kind) if field.name not in without]  # type: ignore[arg-type]
        values: dict[str, Any] = {}
        for field in fields:
            value = self._given(field.name, field.default)
            if isinstance(field.default, tuple):
                value = tuple(value) if isinstance(value, (tuple, list, array.array)) else (value,)
            values[field.name] = value
        try:
            built = kind(**values)
        except UserError as error:
            raise UserError(f"parameter {error}") from error
        for field in fields:
            value, low, high = values[field.name], field.metadata["low"], field.metadata["high"]
            if isinstance(value, tuple):
                value = [float(entry) for entry in value]
            elif not isinstance(field.default, int):
                value = float(value)
            description = f"{field.metadata['text']} [{range_text(field)}]"
            self._declare(field.name, value, _descriptor(description, value, low, high))
        return built

    def refuse_unknown_parameters(self) -> None:
        """Refuse parameters that the node has not declared: a mistyped limit must not be ignored.

        Raises:
            UserError: There is one.
        """
        for name in self._parameter_overrides:
            if not self.has_parameter(name) and not name.startswith("qos_overrides."):
                raise UserError(f"there is no parameter {name}: see the node's file in config/ for the valid ones")

    def _as_declared(self, parameters: list[Parameter]) -> list[Parameter]:
        """What `ros2 param set` asks for: a number written as 1 stays a real one where one was declared."""
        real, whole = Parameter.Type.DOUBLE, Parameter.Type.INTEGER
        return [
            Parameter(given.name, real, float(given.value))
            if given.type_ == whole and self.has_parameter(given.name) and self.get_parameter(given.name).type_ == real
            else given
            for given in parameters
        ]

    def _given(self, name: str, default: Any) -> Any:
        given = self._parameter_overrides.get(name)
        return default if given is None else given.value

    def _declare(self, name: str, value: Any, descriptor: ParameterDescriptor, read_only: bool = True) -> None:
        descriptor.read_only = read_only
        descriptor.dynamic_typing = True
        self.declare_parameter(name, value, descriptor, ignore_override=True)


def run_node(factory: Callable[[], BaseNode]) -> None:
    """Run one node until Ctrl-C or SIGTERM, which end it with code 0; bad parameters end it with 2, bugs with 1."""
    code = 1
    node: BaseNode | None = None
    executor: Executor | None = None
    try:
        for number in (signal.SIGINT, signal.SIGTERM):  # until the node is there to be asked to stop
            signal.signal(number, signal.default_int_handler)
        _init()
        node = factory()
        node.refuse_unknown_parameters()
        _stop_on_signals(node)
        executor = node.make_executor()
        executor.add_node(node)
        node.spin(executor)
        code = 1 if node.failed else 0
    except (KeyboardInterrupt, ExternalShutdownException):
        code = 0
    except UserError as error:
        print(f"{getattr(factory, '__name__', 'node')}: {error}", file=sys.stderr, flush=True)
        code = 2
    except Exception as error:
        if node is None and (found := shell_to_blame(error)):
            print(f"{getattr(factory, '__name__', 'node')}: {error}: {found}", file=sys.stderr, flush=True)
            code = 2
        else:
            traceback.print_exc()
    finally:
        if node is not None:
            node.stopping.set()
            try:
                node.close()
            except Exception:
                traceback.print_exc()
                code = code or 1
            if executor is not None:
                executor.shutdown(timeout_sec=1.0)
            node.destroy_node()
        rclpy.try_shutdown()
        faulthandler.cancel_dump_traceback_later()
    sys.exit(code)


def _init() -> None:
    """Start ROS 2 with the command-line arguments.

    Raises:
        UserError: An argument, or a parameter file that it names, is unusable.
    """
    try:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # RCLError, which rclpy does not export
        said = re.sub(r",? at /\S+:\d+", "", " ".join(str(error).split()))  # source locations in rcl
        mend = shell_to_blame(error) or (
            "fix what comes after --ros-args; a parameter file must exist and be YAML, without tabs"
        )
        raise UserError(f"{said}: {mend}") from error


def _stop_on_signals(node: BaseNode) -> None:
    def stop(number: int, _frame: Any) -> None:
        node.stopping.set()
        faulthandler.dump_traceback_later(node.end_timeout_s, exit=True)
        signal.signal(number, signal.SIG_DFL)  # a second signal ends it at once

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def _descriptor(description: str, value: Any, low: float, high: float) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=description)
    if isinstance(value, int):
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    else:
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    return descriptor
