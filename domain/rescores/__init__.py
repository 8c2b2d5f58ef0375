"""Re-scores: what published results would be with the current content, without publishing it."""
