"""Messages for webhooks: made from changes and notices, kept until they are delivered, and read by people."""
