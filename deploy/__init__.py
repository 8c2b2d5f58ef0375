"""Deployment: the local stack, the shipped content, and the files of each platform."""
