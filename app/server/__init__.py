"""The server: gunicorn in this process, its web processes, and one embedded queue worker.

How it starts, in this order, so that what fails does so in one sentence, and before anything is changed:
1. it makes a folder for the metrics of its processes, 2. takes the port, 3. migrates the database,
4. finds or makes the admin token and the worker's token, 5. forks the web processes.
Each of these makes its own application, engine and sweeper: none of them survives a fork.

How it stops, on SIGTERM or Ctrl-C: first the embedded worker, which hands back and reports over the API that
still answers; then the web processes finish the requests they have, within GRACE_SECONDS.
"""
