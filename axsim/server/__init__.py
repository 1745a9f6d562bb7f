"""The OpenAI-compatible HTTP server of ``axsim serve``: one model on one simulated chip.

:mod:`~axsim.server.wire` reads requests, :mod:`~axsim.server.engine` answers them on the simulated
chip in a worker thread, :mod:`~axsim.server.waiting` lets one at a time through and hands out
tokens at the chip's pace, :mod:`~axsim.server.routes` speaks HTTP.
"""
