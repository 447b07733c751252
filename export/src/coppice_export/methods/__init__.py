"""One file a method: pure functions from a configuration and weights to others; a page in docs/explanation for each."""
