"""Switches of the simulated Brightpearl; sections are those of reference/brightpearl.md.

Where the reference leaves a behaviour open (its section 16), the default is the one that is harder for a client.
"""

from __future__ import annotations

from types import MappingProxyType

from syncengine.sandbox.switches.declaration import Declarations, Value

_ACCOUNT: dict[str, tuple[Value, str]] = {
    "brightpearl_account": ("sandbox", "account code in every path (section 1)"),
    "brightpearl_time_zone": ("Europe/London", "the account's time zone, in whose offset times are rendered (3.1)"),
    "brightpearl_longest_uri": (8192, "characters of path and query beyond which 414 is answered (section 4)"),
    "brightpearl_id_lists_ascend": (
        True,
        "refuse id lists out of order (6, one vendor); official examples send them (14.8)",
    ),
}
_AUTHENTICATION: dict[str, tuple[Value, str]] = {
    "brightpearl_app_ref": ("sandbox_app", "the registered app, its OAuth client_id (2.2)"),
    "brightpearl_dev_ref": ("sandbox", "the developer of the app (2.1)"),
    "brightpearl_client_secret": ("sandbox-client-secret", "OAuth client secret, and the key of signed tokens (2.1)"),
    "brightpearl_confidential": (False, "the app is confidential: the token endpoint demands client_secret (2.2)"),
    "brightpearl_redirect_uri": ("", "redirect_uri registered for the app; empty: any (2.2)"),
    "brightpearl_account_token": ("sandbox-account-token", "raw account token of private and legacy apps (2.1)"),
    "brightpearl_staff_token": ("sandbox-staff-token", "token of a private staff app (2.1)"),
    "brightpearl_token_lifetime_s": (604800, "seconds that an access token lives, sent as expires_in (2.2)"),
    "brightpearl_refresh_rotates": (True, "a refresh makes the old refresh token invalid (2.2, unconfirmed)"),
    "brightpearl_refresh_lifetime_s": (0, "seconds that a refresh token lives; 0: for ever (2.2, unconfirmed)"),
    "brightpearl_api_domain": ("", "api_domain sent with tokens; empty: the host that was asked (2.2)"),
}
_THROTTLE: dict[str, tuple[Value, str]] = {
    "brightpearl_limit": (200, "calls a window; 0: no limit (section 5)"),
    "brightpearl_window_s": (60.0, "length of the throttle window in seconds (section 5)"),
    "brightpearl_window": (
        "calendar",
        "`calendar`: the server's clock minute, recorded; `rolling`: as documented (section 5)",
    ),
    "brightpearl_refused_calls_cost": (False, "a throttled call counts too (section 5, unconfirmed)"),
}
_ORDERS: dict[str, tuple[Value, str]] = {
    "brightpearl_updated_on_ms": (False, "updatedOn has milliseconds; off: whole seconds (3.1)"),
    "brightpearl_row_change_updates": (True, "a change of a row sets updatedOn (section 16 no. 11)"),
    "brightpearl_patch_updates": (False, "a PATCH of an order sets version and updatedOn (14.8: one recording, unset)"),
    "brightpearl_status_change_updates": (True, "a change of the status sets updatedOn (section 16 no. 11)"),
    "brightpearl_patch_is_atomic": (True, "a PATCH with one bad operation changes nothing (section 9, unconfirmed)"),
}
_SEARCH: dict[str, tuple[Value, str]] = {
    "brightpearl_search_delay_s": (0.0, "seconds after which a change shows in searches"),
    "brightpearl_period_inclusive": ("both", "edges that a PERIOD includes: both, from, to, none (7, unconfirmed)"),
    "brightpearl_period_open_start": (True, "accept `/to` (section 7, unconfirmed)"),
    "brightpearl_period_encoded_slash": (True, "accept the PERIOD slash as %2F (section 7, seen both ways)"),
    "brightpearl_period_single_date": (True, "a bare date in a PERIOD filter means that day (7, unconfirmed)"),
    "brightpearl_unknown_filters": ("reject", "`reject` or `ignore` filters that do not exist (not recorded)"),
}
_MISSING: dict[str, tuple[Value, str]] = {
    "brightpearl_missing_product_404": (True, "product GET without a hit: 404; off: 200 and [] (4, unconfirmed)"),
    "brightpearl_product_most_ids": (200, "ids a product GET takes (section 6, unconfirmed)"),
}
_STOCK: dict[str, tuple[Value, str]] = {
    "brightpearl_availability_most_ids": (200, "ids that an availability GET takes (section 6, unconfirmed)"),
    "brightpearl_quarantine_in_stock": (
        False,
        "goods in quarantine are inStock (14.1 has inStock = onHand + allocated, and they cannot be sold)",
    ),
    "brightpearl_corrections_most": (200, "corrections that one call takes (14.2, unconfirmed)"),
    "brightpearl_corrections_are_whole": (
        True,
        "one bad correction refuses the whole call with 400; off: the others are made, 207 (4 and 14.2, unconfirmed)",
    ),
    "brightpearl_orders_allocate": (False, "orders allocate what is on hand as they are entered, as some accounts do"),
    "brightpearl_movements_before_shipping": (
        False,
        "searches show a goods-out note's movements from its creation, with that updatedOn for good (14.5, unknown)",
    ),
    "brightpearl_unshipping_moves": (
        False,
        "undoing a shipment leaves movements back in searches; off: its movements vanish (14.4 knows no such event)",
    ),
    "brightpearl_goods_out_ids_are_listed": (True, "POST of goods-out notes answers a list; off: the first id (14.4)"),
    "brightpearl_missing_goods_out_404": (True, "goods-out GET without a hit: 404; off: 200 and {} (4, unconfirmed)"),
    "brightpearl_close_delay_s": (0.5, "seconds after which a closed order is invoiced (11.4: asynchronous)"),
    "brightpearl_order_fields": ("", "codes of the sales orders' custom fields, all texts: PCF_SYSPRO,PCF_INV (9)"),
    "brightpearl_goods_notes_update": (True, "allocating and shipping set an order's updatedOn (section 16 no. 11)"),
}
_WEBHOOKS: dict[str, tuple[Value, str]] = {
    "brightpearl_webhook_delay_s": (0.05, "seconds between an event and its delivery; what comes meanwhile is joined"),
    "brightpearl_webhook_attempts": (5, "deliveries tried before one is given up (section 10, unconfirmed)"),
    "brightpearl_webhook_retry_s": (1.0, "seconds before the first retry, doubled each time (10, unconfirmed)"),
    "brightpearl_webhook_timeout_s": (10.0, "seconds to wait for the target's answer (10, unconfirmed)"),
    "brightpearl_webhook_lost_percent": (
        0,
        "deliveries that are never made, in percent, evenly spread (section 10: assumed)",
    ),
    "brightpearl_webhook_duplicates": (False, "send every delivery twice (section 10: must be assumed)"),
    "brightpearl_webhook_shuffled": (False, "deliver what is due in reverse order (section 10: must be assumed)"),
    "brightpearl_product_destroyed": (
        False,
        "product.destroyed can be subscribed: refused in 2014, taken today (14.8)",
    ),
    "brightpearl_webhook_needs_resource_id": (True, "INTC-057 where ${resource-id} is absent (10, unconfirmed)"),
}
SWITCHES: Declarations = MappingProxyType(
    _ACCOUNT | _AUTHENTICATION | _THROTTLE | _ORDERS | _SEARCH | _MISSING | _STOCK | _WEBHOOKS
)
