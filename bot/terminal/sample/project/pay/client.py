"""The client: one method for each thing the provider can do."""


class Client:
    """Talk to the provider through `send(method, path, body)`, which answers with a dict or raises a PayError."""

    def __init__(self, send):
        self._send = send

    def balance(self):
        """Read the balance in cents."""
        return self._send("GET", "/balance", None)["cents"]

    def charge(self, cents, key=None):
        """Charge an amount in cents; `key` lets the provider recognise a repeated charge."""
        return self._send("POST", "/charges", {"cents": cents, "key": key})["id"]
