"""Processes that have imported before they are asked: `python -m tasks.warm MODULE ARGS` is `python -m MODULE ARGS`.

A watch of a minute's rows spends most of its time importing torch, Prefect and Lightning. Here a parent process imports
them once and forks a child for each run, which is as a new interpreter otherwise: environment, folder, arguments,
streams and ignored signals are those of the command, the session is its own, and the code of the project is read anew.

- `__main__`: the command. It stands for its run: it hands on signals, ends as the run ends, and the run ends with it.
- `parent`: what imports, forks, and reports how children ended; it ends when nobody has asked for a while.
- `child`: from a fork to a process that looks new.

Whatever goes wrong before a child has begun ends in a new interpreter instead, which costs seconds and nothing else.
"""
