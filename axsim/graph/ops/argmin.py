"""ArgMin: where the smallest element along an axis is."""

from axsim.graph.extreme_place import extreme_place

ARG_MIN = extreme_place("ArgMin", lambda np, x, axis: np.argmin(x, axis=axis))
