"""What can go wrong on the way to the payment provider."""


class PayError(Exception):
    """Base of all errors of this client."""


class Refused(PayError):
    """The provider could not be reached."""


class ServerError(PayError):
    """The provider answered with a status of 500 or more."""

    def __init__(self, status, retry_after=0.0):
        super().__init__(f"the provider answered {status}")
        self.status = status
        self.retry_after = retry_after
