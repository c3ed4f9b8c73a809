"""Brightpearl contacts: customers, suppliers and staff. Facts: reference/brightpearl.md section 12."""

# ruff: noqa: N815 - the names are Brightpearl's
from __future__ import annotations

from datetime import datetime, timedelta

from marshmallow import fields

from syncengine.connectors.base import NameKind
from syncengine.connectors.brightpearl import times
from syncengine.connectors.brightpearl.resources.source import BrightpearlSource
from syncengine.connectors.brightpearl.schemas import Document, Flag, Number, Part, Time, Whole, Words
from syncengine.document import Doc

READ_WITHIN = timedelta(seconds=10)
"""How far the time of a read may be from the `Date` of its answer (recorded: less than a second)."""


class PostAddressIds(Document):
    """Default, billing and delivery address: ids of `brightpearl.postal_address`."""

    DEF = Whole()
    BIL = Whole()
    DEL = Whole()


class Email(Document):
    """A contact's `PRI`."""

    email = Words()


class Emails(Document):
    """A contact's `emails`."""

    PRI = Part(Email)
    SEC = Part(Email)
    TER = Part(Email)


class Telephones(Document):
    """A contact's `telephones`."""

    PRI = Words()
    SEC = Words()
    MOB = Words()
    FAX = Words()


class Websites(Document):
    """A contact's `websites`."""

    PRI = Words()


class Communication(Document):
    """A contact's `communication`."""

    emails = Part(Emails)
    telephones = Part(Telephones)
    websites = Part(Websites)


class RelationshipToAccount(Document):
    """A customer is neither supplier nor staff."""

    isSupplier = Flag()
    isStaff = Flag()


class FinancialDetails(Document):
    """Credit limit and discount are JSON numbers here, not strings."""

    priceListId = Whole()
    nominalCode = Words()
    taxCodeId = Whole()
    creditLimit = Number()
    creditTermDays = Whole()
    creditTermTypeId = Whole()
    currencyId = Whole()
    discountPercentage = Number()


class CurrentAssignment(Document):
    """A contact's `current`."""

    staffOwnerContactId = Whole()
    leadSourceId = Whole()
    departmentId = Whole()
    contactGroupId = Whole()
    accountReference = Words()


class Assignment(Document):
    """A contact's `assignment`."""

    current = Part(CurrentAssignment)


class Organisation(Document):
    """A contact's `organisation`."""

    organisationId = Whole()
    name = Words()
    jobTitle = Words()


class ContactSchema(Document):
    """A contact as GET gives it."""

    contactId = Whole(required=True, allow_none=False)
    isPrimaryContact = Flag()
    salutation = Words()
    firstName = Words()
    lastName = Words()
    postAddressIds = Part(PostAddressIds)
    communication = Part(Communication)
    contactStatus = fields.Dict(allow_none=True)
    relationshipToAccount = Part(RelationshipToAccount)
    financialDetails = Part(FinancialDetails)
    assignment = Part(Assignment)
    organisation = Part(Organisation)
    tradeStatus = Words()
    createdOn = Time()
    updatedOn = Time()
    lastContactedOn = Time()
    contactTags = Words()
    companyId = Whole()


class Contact(BrightpearlSource):
    """Contacts of all kinds; a flow's rules say which of them are customers."""

    name = "brightpearl.contact"
    schema = ContactSchema
    searchable = {
        "assignment.current.accountReference": NameKind.REFERENCE,
        "communication.emails.*.email": NameKind.EMAIL,
        "communication.telephones.PRI": NameKind.PHONE,
        "communication.telephones.SEC": NameKind.PHONE,
        "communication.telephones.MOB": NameKind.PHONE,
    }
    feeds = {"updated": "updatedOn", "created": "createdOn"}
    events = ("contact.created", "contact.modified")  # reported as not subscribable (section 10)
    path = "contact-service/contact"
    id_field = "contactId"
    search = "contact-service/contact-search"
    id_column = "contactId"
    required_fields = ("contactId",)
    field_notes = {
        "firstName": "Brightpearl takes at most 32 characters",
        "lastName": "Brightpearl takes at most 32 characters",
        "postAddressIds": "ids of brightpearl.postal_address",
        "postAddressIds.DEF": "default address",
        "postAddressIds.BIL": "billing address",
        "postAddressIds.DEL": "delivery address",
        "communication.emails": "primary, secondary and tertiary address",
        "relationshipToAccount": "a customer is neither supplier nor staff",
        "financialDetails.creditTermDays": "days of credit",
        "assignment.current.accountReference": "the account's own reference of the contact",
        "organisation.name": "the company; absent for a private person",
        "contactTags": "ids of tags in one text, separated by commas",
    }

    def query(self) -> str:
        """The read is paged, and its page must hold all that were asked for."""
        optional = f"&includeOptional={','.join(self._optional)}" if self._optional else ""
        return f"?pageSize={self.most_per_read}{optional}"

    def normalised(self, doc: Doc, answered_at: datetime) -> Doc:
        """A contact that was never edited gets its time of creation as `updatedOn`, as in a search row.

        Its GET has the time of the read there, in milliseconds (section 14.8), so every read would look like an edit. The
        times of edits are whole seconds: one as recent as the read stays. What is in doubt counts as an edit, which
        costs another read, while an edit that is not seen may be lost after a restore.
        """
        updated, created = times.lenient(doc.get("updatedOn")), times.lenient(doc.get("createdOn"))
        if updated is None or created is None or updated.microsecond == 0 or abs(updated - answered_at) > READ_WITHIN:
            return doc
        return {**doc, "updatedOn": doc["createdOn"]}
