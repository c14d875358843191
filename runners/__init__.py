"""Do what was decided: the only place with model keys and repository writes.

worker -> job -> pipeline -> phases -> workspace, providers, gateway, loop, quality
"""
