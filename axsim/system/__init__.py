"""Requests in time, on a chip that they have to themselves or share with others.

:func:`axsim.system.alone.alone` writes down what a lone request takes;
:class:`axsim.system.company.Company` is a whole scenario. Everything else is a SimPy
process on a :class:`axsim.system.soc.Soc`, whose clock counts microseconds: a language model that
answers while a camera's frames cross the memory is

>>> env = simpy.Environment()
>>> soc = Soc(env, load_chip("ax630c"))
>>> def camera():
...     while True:
...         yield env.timeout(1e6 / 30)
...         yield from soc.move(1920 * 1080 * 1.5)
>>> env.process(camera())
>>> answer = env.run(env.process(serve(soc, deployment)))
>>> answer.arrivals_ms
"""
