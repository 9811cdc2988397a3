"""``tearline rehearse``: the rush before the rush, and where to set the dial.

``plan`` says what is rehearsed, ``dial`` what to try next and what follows from it (both are pure). ``stage``
sets up the database, the campaign and the web processes, and clears them away; ``visitors`` is the load, in a
process of its own; ``steps`` runs one step; ``run`` goes through all of them; ``report`` writes what was found.
"""
