"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# How long an example takes, and how long it takes to make one up, is the machine's affair.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
