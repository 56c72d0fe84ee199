"""The default words for requests that were not taken."""

import json

from dialects import bodies
from dialects.base import Problem, Receipt, Refused


def test_a_problem_has_a_code_and_a_message() -> None:
    reply = bodies.refuse(Problem(400, "too_many_events", "Send at most 100."), b"")
    assert reply.status == 400
    assert json.loads(reply.body) == {"code": "too_many_events", "message": "Send at most 100."}
    assert reply.headers == ()


def test_when_to_try_again_is_said_in_whole_seconds() -> None:
    for seconds, said in ((0, "1"), (3, "3")):
        reply = bodies.refuse(Problem(429, "rate_limited", "Wait.", retry_after_s=seconds), b"")
        assert reply.headers == (("Retry-After", said),)


def test_all_that_is_wrong_is_listed_once() -> None:
    second = Refused("wrong_type", "B.", "b")
    first = Refused("missing_field", "A.", "a", (second,))
    for refusals in ((first,), (first, second)):
        reply = bodies.refuse(Problem(400, "invalid_event", "Correct it.", refusals=refusals), b"")
        assert json.loads(reply.body)["errors"] == [
            {"code": "missing_field", "field": "a", "message": "A."},
            {"code": "wrong_type", "field": "b", "message": "B."},
        ]


def test_at_most_a_hundred_errors_of_a_batch_are_listed() -> None:
    why = Refused("wrong_type", "B.", "b")
    receipt = Receipt(accepted=0, refused=tuple((index, why) for index in range(250)), body=b"")
    listed = bodies.event_errors(receipt)
    assert [error.index for error in listed] == list(range(100))
