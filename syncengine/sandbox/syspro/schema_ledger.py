"""The tables of invoices and payments. Source: syspro-objects.md section 6.3.

It names ArTrnDetail with its key, but not the columns that hold an invoice's lines. SalesOrder, SalesOrderLine, LineType,
QtyInvoiced, NetSalesValue and TaxValue are as SQL against live databases names them; the others, and the tax by code, are the
sandbox's own, so that no client can rely on them. A table whose name begins with an underscore does not exist for finds.
"""

from __future__ import annotations

from syncengine.sandbox.syspro.tables import DATE, FLAG, INTEGER, Table, decimal, own, text

_AMOUNT = decimal(14, 2)


def ledger_tables() -> list[Table]:
    """ArInvoice, ArInvoicePay, ArTrnDetail and the invoices' tax by code, without rows."""
    return [_invoices(), _payments(), _invoice_lines(), _invoice_tax()]


def _invoices() -> Table:
    return Table(
        "ArInvoice",
        ("Customer", "Invoice", "DocumentType"),
        {
            "Customer": text(15),
            "Invoice": text(20),
            "DocumentType": FLAG,
            "InvoiceDate": DATE,
            "CurrencyValue": _AMOUNT,
            "InvoiceBal1": _AMOUNT,
            "InvoiceBal2": _AMOUNT,
            "InvoiceBal3": _AMOUNT,
            "DiscBal": _AMOUNT,
            "TaxPortion": _AMOUNT,
            "TermsCode": text(2),
            "Branch": text(10),
            "SalesOrder": text(20),
            "CustomerPoNumber": text(30),
            "LastDelNote": text(20),
            "PostCurrency": text(3),
            "ConvRate": decimal(11, 6),
            "YearInvBalZero": INTEGER,
            "MonthInvBalZero": INTEGER,
            "Register": own(INTEGER),
        },
        indexes=("Invoice", "SalesOrder", "CustomerPoNumber"),
    )


def _payments() -> Table:
    return Table(
        "ArInvoicePay",
        ("Customer", "Invoice", "EntryNumber"),
        {
            "Customer": text(15),
            "Invoice": text(20),
            "EntryNumber": INTEGER,
            "TrnType": FLAG,
            "JournalDate": DATE,
            "Journal": INTEGER,
            "Reference": text(30),
            "TrnValue": _AMOUNT,
            "DiscValue": _AMOUNT,
            "TrnYear": INTEGER,
            "TrnMonth": INTEGER,
        },
        indexes=("Invoice",),
    )


def _invoice_lines() -> Table:
    return Table(
        "ArTrnDetail",
        ("Invoice", "DetailLine"),
        {
            "TrnYear": INTEGER,
            "TrnMonth": INTEGER,
            "Register": INTEGER,
            "Invoice": text(20),
            "DetailLine": own(INTEGER),
            "Customer": own(text(15)),
            "SalesOrder": text(20),
            "SalesOrderLine": INTEGER,
            "LineType": FLAG,
            "StockCode": own(text(30)),
            "Description": own(text(100)),
            "QtyInvoiced": decimal(18, 6),
            "NetSalesValue": _AMOUNT,
            "TaxCode": own(text(3)),
            "TaxStatus": own(FLAG),
            "TaxPercent": own(decimal(5, 2)),
        },
        indexes=("SalesOrder",),
    )


def _invoice_tax() -> Table:
    return Table(
        "_InvoiceTax",
        ("Invoice", "Number"),
        {
            "Invoice": own(text(20)),
            "Number": own(INTEGER),
            "TaxCode": own(text(3)),
            "TaxStatus": own(FLAG),
            "TaxPercent": own(decimal(5, 2)),
            "NetValue": own(_AMOUNT),
            "TaxValue": own(_AMOUNT),
        },
    )
