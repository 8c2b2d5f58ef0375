"""The local stack for `make up`, `make demo` and the tests: every server on one machine, from wheels."""
