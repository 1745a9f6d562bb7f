"""A request in time: the runtime's walk through the subgraphs of a deployment, on a chip that it
has to itself or shares with others."""
