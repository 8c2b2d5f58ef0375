from hypothesis import HealthCheck, settings

# A deadline would be a timed assertion, and a fresh random seed a test that fails on somebody else's change.
settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")
