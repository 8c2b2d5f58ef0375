"""Wire types, by subject. Their names are those of the OpenAPI document."""
