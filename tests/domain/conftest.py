from hypothesis import HealthCheck, settings

# No deadline, because it would be a timed assertion. A fixed seed, so that a failure comes from the change under test.
settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")
