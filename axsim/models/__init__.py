"""Model architectures as graphs, and where their weights come from."""
