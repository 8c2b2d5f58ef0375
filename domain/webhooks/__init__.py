"""Webhook events, their delivery schedule and the addresses they may be sent to."""
