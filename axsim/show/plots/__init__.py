"""Pictures, drawn with matplotlib, which is imported when one is drawn.

Every function takes results and returns a figure; :func:`save` writes it to a file, :func:`svg`
gives it to an HTML page. Every picture is readable in greyscale: shapes, hatches and lightness tell
series apart, not colours alone. Equal results are equal files.

>>> from axsim.show import plots
>>> result = axsim.run("internvl2_1b", chip="ax630c", timing_only=True)
>>> plots.save(plots.latency_bars(result), "latency.png")
"""

from axsim.show.plots.dram_bandwidth import dram_bandwidth
from axsim.show.plots.eu_timeline import eu_timeline
from axsim.show.plots.heat_map import chip_marks, heat_map
from axsim.show.plots.latency import latency_bars
from axsim.show.plots.latency_distribution import latency_distribution
from axsim.show.plots.predicted_measured import predicted_measured
from axsim.show.plots.residuals import residuals
from axsim.show.plots.roofline import roofline
from axsim.show.plots.scenario_sweep import scenario_sweep
from axsim.show.plots.style import FORMATS, check_plot, save, svg
from axsim.show.plots.sweeps import accuracy_picture, sweep_picture
from axsim.show.plots.tenants_timeline import tenants_timeline
from axsim.show.plots.tradeoff import tradeoff
from axsim.show.plots.utilisation import utilisation

__all__ = [
    "FORMATS",
    "accuracy_picture",
    "check_plot",
    "chip_marks",
    "dram_bandwidth",
    "eu_timeline",
    "heat_map",
    "latency_bars",
    "latency_distribution",
    "predicted_measured",
    "residuals",
    "roofline",
    "save",
    "scenario_sweep",
    "svg",
    "sweep_picture",
    "tenants_timeline",
    "tradeoff",
    "utilisation",
]
