"""How Brightpearl is reached: headers, quota, envelopes, bulk reads and searches. Facts: reference/brightpearl.md 1-7."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import requests

from syncengine import clock
from syncengine.connectors.brightpearl import errors
from syncengine.connectors.brightpearl.answers import NothingFound, Shape
from syncengine.connectors.brightpearl.auth import Credentials
from syncengine.connectors.brightpearl.id_sets import id_sets
from syncengine.connectors.brightpearl.settings import Account
from syncengine.document import Doc
from syncengine.errors import Misconfigured, Transient
from syncengine.http.breaker import Breaker
from syncengine.http.limiter import Limiter, RedisAway
from syncengine.http.session import Session


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of a successful answer, and Brightpearl's clock (UTC, whole seconds) when it was given."""

    body: Mapping[str, Any]
    source_time: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """One page of a search: rows by column name, whether there are more, and Brightpearl's clock."""

    rows: Sequence[Mapping[str, Any]]
    is_more: bool
    available: int
    source_time: datetime


class Gateway:
    """All calls to one account. May be shared by threads."""

    def __init__(
        self, account: Account, credentials: Credentials, limiter: Limiter | None, breaker: Breaker | None = None
    ) -> None:
        self.account = account
        self._credentials = credentials
        self._limiter = limiter
        self._ahead = timedelta(0)
        self._session = Session(
            account.name,
            account.prefix,
            limiter=limiter,
            pool=account.pool,
            authenticate=credentials.put_on,
            timeouts=account.timeouts,
            ca_file=account.ca_file,
            patience_s=account.patience_s,
            breaker=breaker,
            outage=errors.outage,
        )

    def now(self) -> datetime:
        """Brightpearl's clock (UTC), by the latest answer; ours before the first one."""
        return clock.now() + self._ahead

    def quota(self) -> str:
        """One line on the calls of the last minute, by all workers; empty where they are not limited."""
        if self._limiter is None or self.account.pool is None:
            return ""
        try:
            usage = self._limiter.usage(self.account.pool)
        except RedisAway:
            return "calls of the last minute are not known, since Redis does not answer"
        closed = f", closed for {usage.closed_for_s:.0f} s more" if usage.closed_for_s > 0 else ""
        return f"{usage.taken} of {usage.of} calls of a minute used{closed}"

    def wait_s(self) -> float:
        """Seconds that one more call of the low lanes would wait for its slot; 0.0 if nobody knows."""
        if self._limiter is None or self.account.pool is None:
            return 0.0
        try:
            return self._limiter.usage(self.account.pool).paced_wait_s
        except RedisAway:
            return 0.0

    def call(
        self, method: str, path: str, *, json: Any = None, is_write: bool = False, show_path: str | None = None,
        if_match: str = "",
    ) -> Answer:  # fmt: skip
        """One call, repeated once with a new token if the first one is refused.

        Args:
            path: behind the prefix, without a leading slash, encoded, with its query.
            if_match: the version that the object must still have for a write to take effect; empty for any.

        Raises:
            NothingFound: a read of which nothing exists.
            Stale: the object has another version than `if_match`.
            Throttled, Transient, EndpointDown, AuthenticationFailed, Forbidden, Rejected, OutcomeUnknown, Misconfigured.
        """
        response = self._send(method, path, json, is_write, show_path, if_match)
        if response.status_code == 401:
            self._credentials.renew(response.request)
            response = self._send(method, path, json, is_write, show_path, if_match)
        shown = f"{method} {show_path or path.split('?', 1)[0]}"
        return Answer(errors.answer(self.account.name, shown, response, is_write=is_write), self._source_time(response))

    def objects(
        self,
        resource: str,
        keys: Sequence[str],
        *,
        most: int,
        query: str = "",
        shape: Shape = Shape.LIST,
        id_field: str = "id",
        normalised: Callable[[Doc, datetime], Doc] | None = None,
    ) -> list[Doc]:
        """Whole objects by id, in as few calls as the limits allow, in no promised order; unknown ones are absent.

        Args:
            resource: `order-service/order`.
            keys: ids as text; a text that is not an id is left out.
            most: ids per call.
            query: behind each path, with its `?`.
            shape, id_field: how the answer holds the objects. Where it is keyed by id, an object without `id_field` gets it.
            normalised: applied to each object, with Brightpearl's clock (UTC, whole seconds) at its answer.

        Raises:
            Misconfigured: the answer holds them in another shape, so it would every time.
            Whatever `call` raises, but NothingFound.
        """
        ids = [int(key) for key in keys if key.isascii() and key.isdigit()]
        found: list[Doc] = []
        for text, count in id_sets(ids, most):
            shown = f"{resource}/({count} ids)"
            try:
                answer = self.call("GET", f"{resource}/{text}{query}", show_path=shown)
            except NothingFound:
                continue
            listed = self._listed(answer, shown, shape, id_field)
            found += [normalised(doc, answer.source_time) for doc in listed] if normalised else listed
        return found

    def search(
        self,
        path: str,
        *,
        columns: Sequence[str],
        sort: Sequence[str],
        page_size: int,
        filters: Mapping[str, str],
        first_result: int = 1,
    ) -> Found:
        """One page of a resource search.

        Args:
            path: `order-service/order-search`.
            sort: `updatedOn.ASC`, most significant first.
            first_result: 1 for the first row.
            filters: by column; PERIOD values as `from/to` in UTC, the slash is sent as it is (section 7).
        """
        query = {
            **filters,
            "columns": ",".join(columns),
            "sort": ",".join(sort),
            "pageSize": str(page_size),
        }
        if first_result > 1:
            query["firstResult"] = str(first_result)
        encoded = "&".join(f"{name}={quote(value, safe='/,:')}" for name, value in query.items())
        answer = self.call("GET", f"{path}?{encoded}")
        return _page(answer, f"{self.account.name}: {path}")

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _send(
        self, method: str, path: str, json: Any, is_write: bool, show_path: str | None, if_match: str
    ) -> requests.Response:
        self._session.move(self.account.prefix_at(self._credentials.api_domain()))
        response = self._session.send(
            method, f"/{path}", json=json, is_write=is_write, show_path=f"/{show_path}" if show_path else None,
            headers={"If-Match": if_match} if if_match else None,
        )  # fmt: skip
        self._learn(response)
        return response

    def _learn(self, response: requests.Response) -> None:
        """Every answer, also a 401 or 503, says how many calls are left (section 5)."""
        self._ahead = self._source_time(response) - clock.now()
        if self._limiter is None or self.account.pool is None:
            return
        remaining = errors.count(response, errors.REQUESTS_REMAINING)
        millis = errors.count(response, errors.NEXT_THROTTLE_PERIOD)
        if remaining is not None and millis is not None:
            took_s = response.elapsed.total_seconds()
            self._limiter.learn(self.account.pool, remaining, millis / 1000, age_s=took_s)
        if (wait_s := errors.throttled_for(response)) is not None:
            self._limiter.close(self.account.pool, wait_s)

    def _source_time(self, response: requests.Response) -> datetime:
        try:
            said = parsedate_to_datetime(response.headers["Date"])
            return said.replace(tzinfo=said.tzinfo or UTC).astimezone(
                UTC
            )  # `-0000` is UTC too, and comes without a zone
        except (KeyError, ValueError, OverflowError):
            return clock.now()

    def _listed(self, answer: Answer, shown: str, shape: Shape, id_field: str) -> list[Doc]:
        if "response" not in answer.body:
            raise Transient(f"{shown}: the answer has no response, so it is not Brightpearl's", of=self.account.name)
        content = answer.body["response"]
        if shape is Shape.LIST and isinstance(content, list) and _all_are_objects(content):
            return content
        if shape is Shape.BY_ID and isinstance(content, dict) and _all_are_objects(content.values()):
            return [{id_field: int(key) if key.isdecimal() else key, **doc} for key, doc in content.items()]
        raise Misconfigured(
            f"{shown}: the answer is not {shape}, but {_described(content)}",
            "Declare the shape of its answers as `answer` of the resource class",
            of=self.account.name,
        )


def _all_are_objects(values: Iterable[Any]) -> bool:
    return all(isinstance(value, dict) for value in values)


def _described(content: Any) -> str:
    """The shape of an answer, for an error text."""
    if isinstance(content, list):
        return Shape.LIST if _all_are_objects(content) else "a list of other values"
    if isinstance(content, dict):
        return Shape.BY_ID if content and _all_are_objects(content.values()) else "an object of other values"
    return f"{content!r:.40}"


def _page(answer: Answer, what: str) -> Found:
    """Rows are positional; the names come with them, in `metaData.columns` (section 7)."""
    try:
        response = answer.body["response"]
        about = response["metaData"]
        names = [column["name"] for column in about["columns"]]
        rows = [dict(zip(names, row, strict=True)) for row in response["results"]]
        available = int(about["resultsAvailable"])
        last = int(about.get("lastResult", 0))  # omitted where nothing was found
        is_more = bool(about.get("morePagesAvailable", last < available))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Transient(f"{what}: the answer is not a search result ({type(error).__name__})") from None
    return Found(rows, is_more, available, answer.source_time)
