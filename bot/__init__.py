"""Decide what happens to a task: never run a model, never touch a working tree.

The way of the data, one folder a hop:

    web        delivery  -> inbox           (verify, store, 202)
    forges     payload   -> Event           (one file per forge)
    commands   Event     -> Command         (grammar, permission; pure)
    tasks      Command   -> journal record  -> converge -> queue and forge
    audit      record    -> chain           (hashes, blobs, verifier)
    reports    Task      -> Markdown        (every word lives in a template)
    model      the nouns all of them share  (frozen, no I/O)
"""

__version__ = "0.1.0"
