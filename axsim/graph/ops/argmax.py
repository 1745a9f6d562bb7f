"""ArgMax: where the largest element along an axis is."""

from axsim.graph.extreme_place import extreme_place

ARG_MAX = extreme_place("ArgMax", lambda np, x, axis: np.argmax(x, axis=axis))
