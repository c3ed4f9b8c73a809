"""The five shapes of SORTOI's reply, and the replies of Setup and SORTOX (syspro-transport.md sections 7.2, 9.4, 10.3).

The texts follow the reference's example files.
"""

from __future__ import annotations

from syncengine.connectors.base import Result
from syncengine.connectors.syspro import errors, order_replies, replies
from syncengine.connectors.syspro.order_calls import SORTOI
from syncengine.connectors.syspro.replies import Said
from syncengine.connectors.syspro.resources.customer import ARSSCS
from syncengine.connectors.syspro.resources.outcomes import refusal
from syncengine.connectors.syspro.xml import parse
from syncengine.document import Doc
from tests.unit.syspro.syspro_fixtures import settings


def reply(inner: str, root: str = "SalesOrders") -> Doc:
    attributes = "Language='05' Language2='EN' CssStyle='' DecFormat='1' DateFormat='01' Role='01' Version='7.0.073'"
    return parse(f'<?xml version="1.0" encoding="Windows-1252"?>\n<{root} {attributes}>\n{inner}\n</{root}>\n ')


STATUS = """<StatusOfItems><ItemsProcessed>{0:06d}</ItemsProcessed>
<ItemsRejectedWithWarnings>{1:06d}</ItemsRejectedWithWarnings>
<ItemsProcessedWithWarnings>000000</ItemsProcessedWithWarnings></StatusOfItems>"""

ACCEPTED = """<Order><CustomerPoNumber>500123</CustomerPoNumber><SalesOrder>000512</SalesOrder>
<OrderActionType>A</OrderActionType>
<BackOrderComment>One or more lines have been placed on back order for sales order '000512'</BackOrderComment>
<WarningMessages><WarningDescription>Line 0001 for stock code 'KB-1001' was placed on back order</WarningDescription>
</WarningMessages></Order>"""

WITH_ERRORS = """<Orders><OrderHeader><CustomerPoNumber>500126</CustomerPoNumber><Customer>WEB001</Customer></OrderHeader>
<OrderDetails><StockLine><CustomerPoLine>0002</CustomerPoLine><StockCode>NO-SUCH</StockCode>
<ErrorMessages><ErrorNumber>240004</ErrorNumber><ErrorDescription>Stock code 'NO-SUCH' not found</ErrorDescription>
</ErrorMessages></StockLine></OrderDetails></Orders>
<ValidationStatus><Status>Failed</Status></ValidationStatus>"""


def only(inner: str) -> replies.Answer:
    return order_replies.sales_orders(reply(inner), ["500123"])[0]


def test_shape_1_accepted_with_warnings_gives_number_and_warnings() -> None:
    answer = only(ACCEPTED + STATUS.format(1, 0))
    assert (answer.said, answer.key) == (Said.DONE, "000512")
    assert len(answer.warnings) == 2


def test_shape_1_with_the_status_inside_the_order() -> None:
    order = "<Order><CustomerPoNumber>500123</CustomerPoNumber><SalesOrder>000513</SalesOrder>{}</Order>"
    answer = only(order.format(STATUS.format(1, 0)))
    assert (answer.said, answer.key) == (Said.DONE, "000513")


def test_shape_2_a_clean_import_is_done_without_a_number() -> None:
    answer = only(STATUS.format(1, 0))
    assert (answer.said, answer.key) == (Said.DONE, "")


def test_shape_3_an_empty_number_is_a_refusal_without_reasons() -> None:
    order = "<Order><CustomerPoNumber>500123</CustomerPoNumber><SalesOrder></SalesOrder></Order>"
    answer = only(order + STATUS.format(0, 1))
    assert (answer.said, list(answer.errors)) == (Said.REFUSED, [])


def test_shape_4_names_field_value_number_and_line() -> None:
    answer = only(WITH_ERRORS + STATUS.format(0, 0))
    assert answer.said is Said.REFUSED
    error = errors.rejected(answer.errors)
    assert (error.field, error.value) == ("StockLine.StockCode", "NO-SUCH")
    assert error.reason == "line 0002: Stock code 'NO-SUCH' not found (240004)"
    assert "Create the stock code" in error.remedy


def test_shape_5_a_validated_document_is_told_by_its_status() -> None:
    assert (
        order_replies.validation(reply("<ValidationStatus><Status>Successful</Status></ValidationStatus>")).said
        is Said.DONE
    )
    assert order_replies.validation(reply(WITH_ERRORS)).said is Said.REFUSED


def test_a_reply_that_says_nothing_is_an_unknown_outcome() -> None:
    answer = only("<Something/>")
    assert answer.said is Said.NOTHING
    assert refusal(answer, settings(), SORTOI, what="x").result is Result.UNKNOWN


def test_an_import_that_processed_nothing_is_refused_though_no_text_says_why() -> None:
    assert only(STATUS.format(0, 1)).said is Said.REFUSED


def test_an_import_counted_as_processed_and_as_refused_is_refused_unless_it_has_a_number() -> None:
    assert only(STATUS.format(1, 1)).said is Said.REFUSED
    assert only(ACCEPTED + STATUS.format(1, 1)).said is Said.DONE


def test_an_error_without_a_number_has_the_remedy_of_its_known_text() -> None:
    answer = only(WITH_ERRORS.replace("<ErrorNumber>240004</ErrorNumber>", "") + STATUS.format(0, 0))
    error = errors.rejected(answer.errors)
    assert error.reason == "line 0002: Stock code 'NO-SUCH' not found"
    assert "Create the stock code" in error.remedy


def test_of_several_orders_each_has_its_own_answer() -> None:
    inner = ACCEPTED + WITH_ERRORS.replace("<ValidationStatus><Status>Failed</Status></ValidationStatus>", "")
    answers = order_replies.sales_orders(reply(inner + STATUS.format(1, 1)), ["500123", "500126", "500127"])
    assert [answer.said for answer in answers] == [Said.DONE, Said.REFUSED, Said.NOTHING]


def test_several_clean_orders_are_all_done_when_the_counter_says_so() -> None:
    answers = order_replies.sales_orders(reply(STATUS.format(2, 0)), ["1", "2"])
    assert [answer.said for answer in answers] == [Said.DONE, Said.DONE]
    answers = order_replies.sales_orders(reply(STATUS.format(1, 1)), ["1", "2"])
    assert [answer.said for answer in answers] == [Said.NOTHING, Said.NOTHING]


SETUP_OK = """<item><key><customer>000000000004711</customer></key></item>
<StatusOfItems><RecordsRead>1</RecordsRead><RecordsInvalid>0</RecordsInvalid></StatusOfItems>"""
SETUP_DUPLICATE = """<item><key><customer>000000000004711</customer></key>
<customer><Value>000000000004711</Value><ErrorNumber>120001</ErrorNumber>
<ErrorDescription>Duplicate key '000000000004711' on 'Customer'</ErrorDescription></customer></item>
<StatusOfItems><RecordsRead>1</RecordsRead><RecordsInvalid>1</RecordsInvalid></StatusOfItems>"""


def test_a_setup_tells_the_stored_key_in_lower_case_elements() -> None:
    (answer,) = replies.setups(reply(SETUP_OK, "setuparcustomer"), ["4711"], "Customer")
    assert (answer.said, answer.key) == (Said.DONE, "000000000004711")


def test_a_duplicate_key_means_that_it_exists() -> None:
    (answer,) = replies.setups(reply(SETUP_DUPLICATE, "setuparcustomer"), ["4711"], "Customer")
    outcome = refusal(answer, settings(), ARSSCS, what="Customer 4711")
    assert outcome.result is Result.EXISTS
    assert "Duplicate key" in str(outcome.error)


def test_a_duplicate_purchase_order_is_told_by_its_text() -> None:
    text = "Customer purchase order number '500123' already used on sales order '000512'"
    messages = f"<ErrorMessages><ErrorDescription>{text}</ErrorDescription></ErrorMessages>"
    inner = f"<Orders><OrderHeader>{messages}</OrderHeader></Orders>"
    assert refusal(only(inner), settings(), SORTOI, what="x").result is Result.EXISTS


def test_a_lock_is_tried_again() -> None:
    text = "Sales order is locked by operator ANNA"
    messages = f"<ErrorMessages><ErrorDescription>{text}</ErrorDescription></ErrorMessages>"
    inner = f"<Orders><OrderHeader>{messages}</OrderHeader></Orders>"
    assert refusal(only(inner), settings(), SORTOI, what="x").result is Result.RETRY


def test_a_cancellation_is_done_or_refused() -> None:
    done = """<Item><SalesOrder>000512</SalesOrder><SalesOrderLine/><Cancelled>Y</Cancelled><Completed>N</Completed></Item>
    <StatusOfItems><ItemsProcessed>000001</ItemsProcessed><ItemsInvalid>000000</ItemsInvalid></StatusOfItems>"""
    assert order_replies.cancellation(reply(done, "postsalesordercancel")).said is Said.DONE
    refused = """<Item><SalesOrder><Value>000599</Value><ErrorNumber>100031</ErrorNumber>
    <ErrorDescription>Sales order '000599' not found</ErrorDescription></SalesOrder><ItemNumber>000001</ItemNumber></Item>
    <StatusOfItems><ItemsProcessed>000000</ItemsProcessed><ItemsInvalid>000001</ItemsInvalid></StatusOfItems>"""
    answer = order_replies.cancellation(reply(refused, "postsalesordercancel"))
    assert answer.said is Said.REFUSED
    assert errors.rejected(answer.errors).field == "SalesOrder"


def test_counters_are_found_however_they_are_spelled_and_wherever_they_stand() -> None:
    assert replies.counters(
        reply("<StatusofItems><ItemsProcessed>000002</ItemsProcessed><ItemsInvalid/></StatusofItems>")
    ) == (2, 0)
    assert replies.counters(reply("<Item/>")) == (None, None)
