"""Brightpearl postal addresses, read by id only: they have no times. Facts: reference/brightpearl.md section 12."""

# ruff: noqa: N815 - the names are Brightpearl's
from __future__ import annotations

from syncengine.connectors.brightpearl.resources.source import BrightpearlSource
from syncengine.connectors.brightpearl.schemas import Document, Whole, Words


class PostalAddressSchema(Document):
    """Lines are street, suburb, city, state; `countryIsoCode` has 3 letters here and 2 in an order's parties."""

    addressId = Whole(required=True, allow_none=False)
    contactId = Whole()
    addressLine1 = Words()
    addressLine2 = Words()
    addressLine3 = Words()
    addressLine4 = Words()
    postalCode = Words()
    countryIsoCode = Words()
    countryIsoCode2 = Words()
    countryId = Whole()


class PostalAddress(BrightpearlSource):
    """Addresses that contacts point to."""

    name = "brightpearl.postal_address"
    schema = PostalAddressSchema
    path = "contact-service/postal-address"
    id_field = "addressId"
    required_fields = ("addressId",)
    field_notes = {
        "addressLine1": "street",
        "addressLine2": "suburb",
        "addressLine3": "city",
        "addressLine4": "state",
        "countryIsoCode": "3 letters, unlike in an order's parties",
        "countryIsoCode2": "2 letters",
    }
