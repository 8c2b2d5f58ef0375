"""Essay grading and embeddings with OpenAI's API or a compatible endpoint."""
