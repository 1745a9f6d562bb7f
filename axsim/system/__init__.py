"""A request in time: the host's walk through the subgraphs of a deployment."""
