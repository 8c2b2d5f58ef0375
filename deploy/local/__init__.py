"""The embedded stack: every server on one machine, from wheels, for `make up`, `make demo` and the tests."""
