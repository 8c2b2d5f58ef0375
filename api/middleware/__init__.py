"""HTTP handling shared by all routes: parsing, headers, limits, correlation, metrics."""
