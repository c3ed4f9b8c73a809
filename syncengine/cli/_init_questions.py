"""What `syncengine init` asks, as data: each question is also an option of the command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from syncengine import connectors

Answers = Mapping[str, str]
"""Answers by the name of their question; empty where a question does not apply."""

SHOP, ERP = "shop", "erp"
SYSTEMS = {SHOP: "brightpearl", ERP: "syspro"}
TITLES = {SHOP: "Brightpearl", ERP: "SYSPRO"}


def _always(_: Answers) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    name: of its option, `account_token`. prompt: what is asked. part: the endpoint that it belongs to, empty for the
    connection. key: the setting or secret of the endpoint, the setting or lookup table of the connection. variable: where
    `.env` keeps the answer; empty: it goes into syncengine.yml. applies: whether it is asked after these answers.
    """

    name: str
    prompt: str
    part: str = ""
    key: str = ""
    variable: str = ""
    default: str = ""
    is_needed: bool = True
    is_secret: bool = False
    choices: tuple[str, ...] = ()
    applies: Callable[[Answers], bool] = _always

    @property
    def option(self) -> str:
        """`--account-token`."""
        return f"--{self.name.replace('_', '-')}"


def _of(part: str) -> Callable[..., Question]:
    """Questions about settings and secrets of one endpoint; what they mean is declared by the connector."""
    system = SYSTEMS[part]
    about = {setting.name: setting.about for setting in connectors.settings_of(system)}
    secret = {declared.name: declared.about for declared in connectors.secrets_of(system)}
    choices = {setting.name: setting.choices for setting in connectors.settings_of(system)}

    def question(key: str, variable: str = "", *, name: str = "", is_secret: bool = False, **more: object) -> Question:
        text = secret[key] if is_secret else about[key]
        prompt = f"{TITLES[part]} {key}: {text}"
        given = {"choices": () if is_secret else choices[key], "is_secret": is_secret, **more}
        return Question(name or key, prompt, part, key, variable, **given)  # type: ignore[arg-type]

    return question


def _is_oauth(answers: Answers) -> bool:
    return answers["auth"] == "oauth"


def _is_harmony(answers: Answers) -> bool:
    return answers["gateway"] == "harmony"


def _has_session(answers: Answers) -> bool:
    return not _is_harmony(answers) or answers["syspro_auth"] == "session"


def _has_client(answers: Answers) -> bool:
    return _is_harmony(answers) and answers["syspro_auth"] == "oauth"


_shop, _erp = _of(SHOP), _of(ERP)

BRIGHTPEARL = (
    _shop("auth", default="private"),
    _shop("url", "BRIGHTPEARL_URL", name="brightpearl_url"),
    _shop("account", "BRIGHTPEARL_ACCOUNT"),
    _shop("app_ref", "BRIGHTPEARL_APP_REF"),
    _shop(
        "account_token", "BRIGHTPEARL_ACCOUNT_TOKEN", is_secret=True, applies=lambda given: given["auth"] == "private"
    ),
    _shop("staff_token", "BRIGHTPEARL_STAFF_TOKEN", is_secret=True, applies=lambda given: given["auth"] == "staff"),
    _shop("dev_ref", "BRIGHTPEARL_DEV_REF", applies=_is_oauth),
    _shop("redirect_uri", applies=_is_oauth),
    _shop("client_secret", "BRIGHTPEARL_CLIENT_SECRET", is_secret=True, is_needed=False, applies=_is_oauth),
)

SYSPRO = (
    _erp("gateway", default="enet"),
    _erp("url", "SYSPRO_URL", name="syspro_url"),
    _erp("auth", name="syspro_auth", default="api_key", applies=_is_harmony),
    _erp("operator", "SYSPRO_OPERATOR", applies=_has_session),
    _erp("operator_password", "SYSPRO_OPERATOR_PASSWORD", is_secret=True, applies=_has_session),
    _erp("company", "SYSPRO_COMPANY", applies=_has_session),
    _erp("company_password", "SYSPRO_COMPANY_PASSWORD", is_secret=True, is_needed=False, applies=_has_session),
    _erp(
        "api_key",
        "SYSPRO_API_KEY",
        is_secret=True,
        applies=lambda given: _is_harmony(given) and given["syspro_auth"] == "api_key",
    ),
    _erp("token_url", name="syspro_token_url", applies=_has_client),
    _erp("client_id", name="syspro_client_id", applies=_has_client),
    _erp("client_secret", "SYSPRO_CLIENT_SECRET", name="syspro_client_secret", is_secret=True, applies=_has_client),
)

CONNECTION = (
    Question("time_zone", "Time zone of the Brightpearl account, such as Europe/London", key="time_zone"),
    Question("home_currency", "Home currency of the SYSPRO company, such as GBP", key="home_currency"),
    Question("cut_over", "Cut-over date", key="cut_over"),
    Question(
        "eligible_statuses", "Ids of the order statuses in which an order is sent, such as 2,3", key="eligible_statuses"
    ),
    Question(
        "complete_by_status",
        "Does the shop give an order one of these statuses only once it is complete? Then it is sent within seconds; otherwise "
        "after a minute without a change",
        key="quiet_s",
        default="no",
        choices=("yes", "no"),
    ),
    Question(
        "cancelled_statuses",
        "Ids of the order statuses that cancel the SYSPRO order",
        key="cancelled_statuses",
        is_needed=False,
    ),
    Question("branch", "SYSPRO branch of a new customer, such as 10", key="branch"),
    Question("salesperson", "SYSPRO salesperson of a new customer", key="salesperson"),
    Question("terms_code", "SYSPRO terms code of a new customer, such as 30", key="terms_code"),
)

LOOKUPS = (
    Question(
        "currencies",
        "SYSPRO currencies by Brightpearl's currency id, such as 1=GBP,2=EUR",
        key="currencies",
        is_needed=False,
    ),
    Question(
        "warehouses",
        "SYSPRO warehouses by Brightpearl's warehouse id, such as 2=MN",
        key="warehouses",
        is_needed=False,
    ),
    Question(
        "tax_codes", "SYSPRO tax codes by Brightpearl's tax code, such as T20=A", key="tax_codes", is_needed=False
    ),
)

STOCK = (
    Question(
        "stock_warehouses",
        "Brightpearl's warehouse ids by the SYSPRO warehouse whose stock they show, such as MN=2,FG=2; none: no stock levels",
        key="stock_warehouses",
        is_needed=False,
    ),
    Question(
        "posted_elsewhere",
        "Who posts Brightpearl's shipments, receipts and transfers in SYSPRO; none: all stock levels are held",
        key="posted_elsewhere",
        is_needed=False,
        applies=lambda given: bool(given["stock_warehouses"]),
    ),
)
"""Of the flow `inventory`, which is left out without warehouses."""

STOCK_TABLE, STOCK_SETTING = STOCK

QUESTIONS = (*BRIGHTPEARL, *SYSPRO, *CONNECTION, *LOOKUPS, *STOCK)
