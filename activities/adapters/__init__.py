"""Ports implemented with models and vendors' libraries. Nothing else imports those."""
