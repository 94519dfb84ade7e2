"""A receiver of mails: it speaks as much SMTP as a sender needs, and keeps what it gets."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from socketserver import StreamRequestHandler, ThreadingTCPServer

REPLIES = {
    b"EHLO": b"250-here\r\n250 AUTH PLAIN",
    b"AUTH": b"235 welcome",
    b"DATA": b"354 go on",
    b"QUIT": b"221 bye",
}


class MailReceiver(ThreadingTCPServer):
    """`received` has the mails, in the order in which they came."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        self.received: list[Message] = []
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.port = int(self.server_address[1])


@contextmanager
def running_mail_receiver() -> Iterator[MailReceiver]:
    with MailReceiver() as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


class _Conversation(StreamRequestHandler):
    server: MailReceiver

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            command = line.split(b" ")[0].strip().upper()
            self.wfile.write(REPLIES.get(command, b"250 well") + b"\r\n")
            if command == b"QUIT":
                return
            if command == b"DATA":
                lines = iter(self.rfile.readline, b".\r\n")
                mail = b"".join(each.removeprefix(b".") for each in lines)
                self.server.received.append(message_from_bytes(mail))
                self.wfile.write(b"250 taken\r\n")
