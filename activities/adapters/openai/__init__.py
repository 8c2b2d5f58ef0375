"""The OpenAI API, or an API compatible with it: essay grading and embeddings."""
