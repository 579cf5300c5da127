"""What holds for all tests."""

import pytest
from hypothesis import HealthCheck, settings
from tests.ros_domain import free_domain

# How long an example takes, and how long it takes to make one up, is the machine's affair.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture
def ros_domain(monkeypatch):
    """What the test starts is in a ROS domain that belongs to it alone."""
    domain, lock = free_domain()
    with lock:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        yield domain
