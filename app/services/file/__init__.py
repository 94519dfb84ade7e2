"""Files and uploads: their bytes in the database, streamed in and out, and deleted when their time is over."""
