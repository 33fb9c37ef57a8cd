"""What a service, or the way to it, refuses, as one exception."""

from __future__ import annotations

from itemlm.types import ItemlmError


class ServiceError(ItemlmError):
    """A request that was not answered as asked; its text is the service's sentence.

    Attributes:
        code: stable, for programs: one of the service's codes; "unreachable" where nothing
            answered; "unreadable" where the answer is none of this service, as a proxy's page.
        status: of HTTP; None where nothing answered.
        request_id: under which the service's log has the request.
        field: the part of the request that it is about, such as "events.3.kind".
        retry_after: seconds after which another try makes sense, where the service said so.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int | None = None,
        request_id: str | None = None,
        field: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.status = code, status
        self.request_id, self.field = request_id, field
        self.retry_after = retry_after
