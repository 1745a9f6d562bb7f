"""How a graph becomes a program for one chip: the single place where a model meets a chip."""
