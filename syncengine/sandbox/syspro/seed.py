"""What the company starts with: codes, warehouses, stock and house accounts, but no customers of the shop and no orders.

The master data of the references' example documents (WEB001, KB-1001, warehouse FG, ...) is included, so that recorded
requests work unchanged.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from syncengine.sandbox.shop.model import Product, Shop
from syncengine.sandbox.syspro.state import Company

#: On hand of items without stock (services, bundles): it never runs out.
ENDLESS = Decimal(100_000)
_ADDED = date(2023, 9, 1)

_BRANCHES = {"10": "Main branch", "20": "Export"}
_SALESPERSONS = {"100": "House", "W1": "Web shop"}
#: Area to description and the tax code that holds there where the site taxes by area.
_AREAS = {"N": ("North", "ARN"), "S": ("South", "ARS")}
#: Tax codes besides the shop's: those of the references' example documents, and the areas' own. Percentages are invented.
_TAX_CODES = {"A": "20", "Z": "0", "ARN": "8.25", "ARS": "7"}
#: The shop's tax codes that have more than 3 characters.
_SHORT_TAX_CODES = {"DE19": "D19"}
#: Every item's OtherTaxCode: what an order of tax status O is taxed by, zero-rated exports for example.
_OTHER_TAX_CODE = "T0"
_TERMS = {"01": "30 days", "14": "14 days", "30": "30 days", "60": "60 days", "00": "Cash"}
_WAREHOUSES = {"MN": "MAIN WAREHOUSE", "FG": "FINISHED GOODS", "RT": "RETURNS"}

#: code, description, warehouse quantities, list price, product class, alternate unit and its factor
_EXAMPLE_STOCK: tuple[tuple[str, str, dict[str, int], str, str, str, int], ...] = (
    ("KB-1001", "Kettle brass 1.5l", {"FG": 0, "MN": 25}, "24.95", "KTCH", "EA", 1),
    ("KB-2040", "Kettle base", {"FG": 100}, "8.00", "KTCH", "EA", 1),
    ("BP-TEE-RED-M", "Tee shirt red medium", {"MN": 1250, "RT": 3}, "19.50", "APPR", "BX", 12),
    ("BP-TEE-RED-S", "Tee shirt red small", {"MN": 0}, "19.50", "APPR", "BX", 12),
)


def load(company: Company, shop: Shop) -> None:
    """Fill the empty tables."""
    _codes(company, shop)
    _tax_codes(company, shop)
    for code, description, quantities, price, product_class, uom, factor in _EXAMPLE_STOCK:
        stock = {warehouse: Decimal(quantity) for warehouse, quantity in quantities.items()}
        _stock(
            company, code, description, Decimal(price), "A", stock, product_class=product_class, uom=uom, factor=factor
        )
    for product in shop.products:
        if product.in_syspro and product.sku and company.table("InvMaster").get(product.sku) is None:
            _product(company, product, [warehouse.code for warehouse in shop.warehouses])
    house_accounts = [(account["code"], account["name"], account["currency"]) for account in shop.house_accounts]
    for code, name, currency in [("WEB001", "Web Sales Account", shop.base_currency), *house_accounts]:
        _customer(company, code, name, currency)


def _tax_codes(company: Company, shop: Shop) -> None:
    for code, percent in _TAX_CODES.items():
        company.tax_rates.add(code, Decimal(percent))
    for tax in shop.tax_codes:
        company.tax_rates.add(_SHORT_TAX_CODES.get(tax.code, tax.code), tax.rate, description=tax.description)


def _codes(company: Company, shop: Shop) -> None:
    for code, description in _BRANCHES.items():
        company.table("SalBranch").insert(Branch=code, Description=description)
    for code, name in _SALESPERSONS.items():
        company.table("SalSalesperson").insert(Salesperson=code, Name=name)
    for code, (description, tax_code) in _AREAS.items():
        company.table("SalArea").insert(Area=code, Description=description, TaxCode=tax_code)
    for code, description in _TERMS.items():
        company.table("TblArTerms").insert(TermsCode=code, Description=description)
    for currency in shop.currencies:
        if currency.in_syspro:
            company.table("TblCurrency").insert(
                Currency=currency.code, Description=currency.name, SellExchangeRate=currency.rate
            )
    warehouses = _WAREHOUSES | {warehouse.code: warehouse.name for warehouse in shop.warehouses}
    for code, description in warehouses.items():
        company.table("InvWhControl").insert(Warehouse=code, Description=description, Branch="10")


def _product(company: Company, product: Product, warehouses: list[str]) -> None:
    stock = product.stock if product.stock_tracked else dict.fromkeys(warehouses, ENDLESS)
    _stock(
        company,
        product.sku,
        product.name[:50],
        product.price,
        product.tax_code[:3],
        stock,
        cost=product.cost,
        uom=product.uom,
        barcode=product.barcode,
        decimals=product.decimals,
    )


def _stock(
    company: Company,
    code: str,
    description: str,
    price: Decimal,
    tax_code: str,
    stock: dict[str, Decimal],
    *,
    product_class: str = "WEB",
    uom: str = "EA",
    factor: int = 1,
    cost: Decimal = Decimal(0),
    barcode: str = "",
    decimals: int = 0,
) -> None:
    unit = "EA" if factor > 1 else uom
    company.table("InvMaster").insert(
        StockCode=code,
        Description=description,
        LongDesc=description,
        AlternateKey1=barcode,
        StockUom=unit,
        AlternateUom=uom,
        OtherUom=unit,
        Decimals=decimals,
        ConvFactAltUom=Decimal(factor),
        ConvMulDiv="D",
        ConvFactOthUom=Decimal(1),
        MulDiv="M",
        CostUom=unit,
        ManufactureUom=unit,
        ProductClass=product_class,
        TaxCode=tax_code,
        OtherTaxCode=_OTHER_TAX_CODE,
        ListPriceCode="A",
        SerialMethod="N",
        TraceableType="N",
        KitType="N",
        PartCategory="B",
        WarehouseToUse=next(iter(stock), ""),
        DateStkAdded=_ADDED,
    )
    company.table("InvPrice").insert(StockCode=code, PriceCode="A", SellingPrice=price, PriceBasis="S")
    _put_on_hand(company, code, stock, cost)


def _put_on_hand(company: Company, code: str, stock: dict[str, Decimal], cost: Decimal) -> None:
    for warehouse, quantity in stock.items():
        company.table("InvWarehouse").insert(
            StockCode=code,
            Warehouse=warehouse,
            QtyOnHand=quantity,
            UnitCost=cost,
            DefaultBin=warehouse,
            DateWhAdded=_ADDED,
        )


def _customer(company: Company, code: str, name: str, currency: str) -> None:
    company.table("ArCustomer").insert(
        Customer=code,
        Name=name,
        SoldToAddr1="Head Office",
        Salesperson="W1",
        Branch="10",
        Area="S",
        TermsCode="01",
        Currency=currency,
        PriceCode="A",
        CreditStatus="0",
        CreditCheckFlag="N",
        BalanceType="I",
        TaxStatus="N",
        BackOrdReqd="Y",
        CustomerOnHold="N",
        PoNumberMandatory="N",
        DateCustAdded=_ADDED,
    )
