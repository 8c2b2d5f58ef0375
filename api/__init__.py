"""The HTTP API: routes, schemas, authentication, authorization and middleware."""
