import threading

import pytest

from sac_gmm_nodes.control.adapter_wait import AdapterWait

pytestmark = pytest.mark.ros


def test_it_asks_again_until_there_is_an_answer(graph):
    asked = []
    wait = AdapterWait(graph.node, threading.Condition(), timeout_s=60.0)
    assert wait.until(lambda: len(asked) == 2, lambda: asked.append(1), "answer")
    assert len(asked) == 2


def test_it_gives_up_in_bounded_time(graph):
    wait = AdapterWait(graph.node, threading.Condition(), timeout_s=0.1)
    assert not wait.until(lambda: False, lambda: None, "answer")
