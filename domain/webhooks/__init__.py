"""Webhook deliveries, their retry schedule and the addresses they may be sent to."""
