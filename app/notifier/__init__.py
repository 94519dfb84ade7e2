"""The process that sends one digest by the library apprise. It knows only what it is given.

apprise makes its connections by itself, with the libraries of each service. In a process of its own it can be ended at
any time, and each connection can be checked at the moment when it is made: see guard.py.
"""
