"""The MiniLM sentence embedder."""
