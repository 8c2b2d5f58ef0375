"""Adapters that send mails."""
