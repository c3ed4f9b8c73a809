"""SYSPRO's switches: what differs between sites and versions, and what no public source says.

Sources are sections of syspro-transport.md ("t") and syspro-objects.md ("o"). Where the facts are
unknown, the default is the value that the references recommend or think likelier.
"""

from __future__ import annotations

from types import MappingProxyType

from syncengine.sandbox.switches.declaration import Declarations, Value

_TRANSPORT: dict[str, tuple[Value, str]] = {
    "syspro_version": ("8", "6.1, 7 or 8: field lengths and the Version in replies (t9.2, o3.1, o14.7)"),
    "syspro_service_version": ("7.0.0.6", "what GetVersion answers (t5.2)"),
    "syspro_company": ("T", "the company's id (t5.1)"),
    "syspro_company_password": ("", "the company's password; empty: it has none (t5.1)"),
    "syspro_operators": ("BPSYNC:s3cret!,BPTEST:s3cret!,CLERK:s3cret!", "operators as code:password, comma separated"),
    "syspro_instances": ("0", "SYSPRO instance numbers on this server, comma separated (t5.1)"),
    "syspro_guid_sessions": (False, "session ids are GUIDs with hyphens, as one SYSPRO 8 client has them (t2.3)"),
    "syspro_licences": (5, "concurrent e.net users that the licence allows (t5.3)"),
    "syspro_idle_minutes": (20, "idle time-out of the licence class in minutes (t5.3)"),
    "syspro_idle_ends_session": (False, "an idle session ends by itself, not only when its licence is needed (t5.3)"),
    "syspro_unlicensed": ("", "objects that are not licensed, comma separated: e.net exception 100000 (t5.3)"),
    "syspro_expired_text": (
        "Invalid user id or user not logged in",
        "text after `ERROR: ` for an unknown session (t14.2)",
    ),
    "syspro_json_bodies": (False, "bodies are the same text as a JSON string (t2.3)"),
    "syspro_get_limit_bytes": (16_384, "request line plus headers beyond which HTTP.sys answers 400 (t2.2)"),
    "syspro_postld": (True, "the service knows Transaction/PostLD (t2.2)"),
    "syspro_padded_numbers": (True, "numbers in replies are padded as recorded; off: plain (t6)"),
    "syspro_outside_cp1252": ("question_mark", "question_mark, keep or refuse characters beyond Windows-1252 (t2.1)"),
    "syspro_restart_unavailable_s": (2.0, "seconds of 503 after the refused connections of a restart (t13.6)"),
}

_KEYS: dict[str, tuple[Value, str]] = {
    "syspro_order_key_width": (15, "width of the stored, zero-padded sales order number (t6)"),
    "syspro_order_shown_width": (6, "width in which SORTOI, SORQRY and their like show it (t6)"),
    "syspro_numeric_customers": (False, "customer codes are numeric, stored in 15 digits (o3.2)"),
    "syspro_over_length": ("reject", "reject or truncate a value longer than its element (t13)"),
    "syspro_local_currency": ("GBP", "the company's currency (t5.3)"),
}

_ORDERS: dict[str, tuple[Value, str]] = {
    "syspro_clean_reply": (
        "auto",
        "a clean import's number is given: auto (not with IgnoreWarnings W), always, never (t9.4)",
    ),
    "syspro_rejection": ("reasons", "reasons (shape 4) or empty (shape 3) for a refused import (t9.4)"),
    "syspro_error_numbers": (False, "ErrorMessages of an import have ErrorNumber; vendor samples have none (o14.7)"),
    "syspro_nested_status": (False, "StatusOfItems is inside Order (t9.4)"),
    "syspro_forbid_duplicate_po": (False, "the setup option: duplicate customer PO numbers only with A (t9.5)"),
    "syspro_cancelled_blocks_po": (False, "a cancelled order still blocks its PO number (t9.5, unknown)"),
    "syspro_blank_allocation": ("F", "F or B: what a blank AllocationAction means (t9.1)"),
    "syspro_back_order_status": ("2", "status of an order that is all back order (t10.3, inferred)"),
    "syspro_charge_class_on_change": (
        True,
        "a changed charge needs MiscProductClass (o14.7; unconfirmed, the stricter)",
    ),
    "syspro_negative_quantities": (False, "the setup option: stock lines may have a negative quantity (o14.7)"),
    "syspro_shipping_codes": ("", "coded shipping instructions as code:text, comma separated; empty: not coded (t9.2)"),
    "syspro_cancel_reasons": ("", "cancel reasons that cancelled orders and lines need; empty: none needed (t9.2)"),
    "syspro_credit_fail": ("reject", "reject, or suspense (status S) beyond the credit limit (o12)"),
    "syspro_warehouse_orders": ("refuse", "refuse or allow changes and cancellation in status 4 (t10.1)"),
    "syspro_alternate_key": ("branch", "branch, area or warehouse: what AlternateReference must be (t9.2)"),
    "syspro_order_types": ("", "order types that the site knows, comma separated; empty: any (t9.2)"),
    "syspro_denied_warehouses": ("", "warehouses denied to the operators, comma separated (o12)"),
    "syspro_warehouse_step_s": (0.0, "seconds in which the warehouse moves an order 1->4->8->9; 0: never (t13.5)"),
    "syspro_find_timestamp": (False, "COMFND knows the rowversion column TimeStamp (o10, unconfirmed)"),
    "syspro_find_most_rows": (0, "rows beyond which COMFND cuts a reply; 0: none (o14.5: caps are not known)"),
}

_STOCK: dict[str, tuple[Value, str]] = {
    "syspro_stock_move_date": (
        "transaction",
        "transaction or entry: which date a back-dated entry leaves in DateLastStockMove and EntryDate (o10, unknown)",
    ),
    "syspro_dispatch_relieves": (
        True,
        "a dispatch takes its goods off QtyOnHand; off: its invoice does (o4.2, unknown)",
    ),
}

_DISPATCH: dict[str, tuple[Value, str]] = {
    "syspro_dispatch_notes": (
        True,
        "dispatch notes are in use; off: SORTDN refuses, orders are invoiced directly (o9.1)",
    ),
    "syspro_dispatch_numbers": (
        "order",
        "order (order/nnnn), number (15 digits of their own) or manual: how dispatch notes are numbered (o9.2)",
    ),
    "syspro_manual_release": (
        False,
        "the setup option: a printed dispatch note has status 5 until it is released (o9.2)",
    ),
    "syspro_cancelled_dispatch_goes_to": (
        "back",
        "back or ship: the quantity to which a cancelled dispatch returns its goods (o9.3, unknown)",
    ),
    "syspro_find_dispatch_notes": (True, "COMFND knows MdnMaster and MdnDetail (o10, their columns are unconfirmed)"),
    "syspro_delivery_note_entry": (
        "4",
        "4 (a change to status 4 alone, as the 7.0 schema says), any or never: when SORTOS takes DeliveryNoteNumber (t10.3)",
    ),
    "syspro_invoice_keeps_delivery_note": (
        True,
        "ArInvoice.LastDelNote is the number of the order's delivery note or of the dispatch note; off: blank (o6.3, unknown)",
    ),
    "syspro_warehouse_quantities": (
        True,
        "the setup option: SORTBO may change ship quantities in status 4 when it sets status 8 (SORTBO's 7.0 schema)",
    ),
    "syspro_periods_differ": (False, "accounts receivable is a period behind inventory: invoicing warns (o9.3)"),
}

_CUSTOMERS: dict[str, tuple[Value, str]] = {
    "syspro_area_required": (False, "ARSSCS needs Area on an add (o3.1)"),
    "syspro_empty_clears": (True, "an empty element in ARSSCS Update clears the field (o3.1)"),
    "syspro_automatic_customers": (False, "a blank customer key on an add is numbered (o3.2)"),
}

_HARMONY: dict[str, tuple[Value, str]] = {
    "syspro_harmony": (True, "the proposed Harmony interface is served (t4.3, conjecture)"),
    "syspro_harmony_auth": ("any", "api_key, oauth2, session, or any of them (t4.3)"),
    "syspro_harmony_api_key": ("harmony-sandbox-key", "the API key, sent as X-Api-Key"),
    "syspro_harmony_client": ("syncengine:harmony-sandbox-secret", "OAuth 2.0 client as id:secret"),
    "syspro_harmony_token_s": (3600, "life of an access token in seconds"),
    "syspro_harmony_session_header": ("X-Syspro-Session", "the header that carries the session"),
    "syspro_harmony_operator": ("BPSYNC", "the operator in whose name a key or token works"),
}

SWITCHES: Declarations = MappingProxyType(_TRANSPORT | _KEYS | _ORDERS | _STOCK | _DISPATCH | _CUSTOMERS | _HARMONY)
