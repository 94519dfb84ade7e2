"""The server: gunicorn in this process, its web processes, and one embedded queue worker.

The start, in this order, so that a problem is reported in one sentence before anything has changed:
1. make a folder for the metrics of all processes, 2. open the port, 3. migrate the database, in a process of its own,
4. find or make the admin's token and the worker's token, 5. fork the web processes.
Each web process makes its own application, database engine and sweeper: none of these works after a fork.

The stop, on SIGTERM or Ctrl-C: first the embedded worker, which releases its leases and sends its reports over the
API; then the web processes, which finish their open requests within GRACE_SECONDS.
"""
