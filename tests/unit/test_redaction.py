"""What is shown of a text: secrets in any spelling are hidden, and the sentence around them is not."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from syncengine.redaction import hide_secrets, redact, redact_text

SECRET = "hunter2"
REPLY = json.dumps({"Operator": "ADMIN", "OperatorPassword": SECRET, "Company": "T"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (REPLY, '{"Operator": "ADMIN", "OperatorPassword": "***", "Company": "T"}'),
        (json.dumps(REPLY), r'"{\"Operator\": \"ADMIN\", \"OperatorPassword\": \"***\", \"Company\": \"T\"}"'),
        (f"{{'client_secret': '{SECRET}', 'a': 1}}", "{'client_secret': '***', 'a': 1}"),
        (f"password=b'{SECRET}' of ADMIN", "password=b'***' of ADMIN"),
        (r'{"token": "hun\"ter2\\", "a": 1}', '{"token": "***", "a": 1}'),
        (f'{{"tokens": 2, "token": ["{SECRET}", "{SECRET}"], "a": 1}}', '{"tokens": 2, "token": [***], "a": 1}'),
        (f'{{"password": "{SECRET}', '{"password": "***'),
        (f"<OperatorPassword>{SECRET}</OperatorPassword><A>1</A>", "<OperatorPassword>***</OperatorPassword><A>1</A>"),
        (f'<s:Token type="x"><![CDATA[{SECRET}]]></s:Token>!', '<s:Token type="x">***</s:Token>!'),
        (f"<Token><Value>{SECRET}</Value></Token>!", "<Token>***</Token>!"),
        (f"<UserId>{SECRET}", "<UserId>***"),
        (f"&lt;Password&gt;{SECRET}&lt;/Password&gt;!", "&lt;Password&gt;***&lt;/Password&gt;!"),
        (quote(f"<Password>{SECRET}</Password>", safe=""), "%3CPassword%3E***%3C%2FPassword%3E"),
        (f"Authorization: Bearer {SECRET}\nHost: a", "Authorization: ***\nHost: a"),
        (f"cookie: a=1; session={SECRET}\nHost: a", "cookie: ***\nHost: a"),
        (f"it sent Bearer {SECRET} to the host", "it sent Bearer *** to the host"),
        (f"x-api-key: {SECRET}, a", "x-api-key: ***, a"),
        (f"refresh_token='{SECRET}' and more", "refresh_token='***' and more"),
        (f"postgresql://sync:{SECRET}@db/sync", "postgresql://***@db/sync"),
        (f"redis://:{SECRET}@x@db:6379/0", "redis://***@db:6379/0"),
        (f"Logon?OperatorPassword={SECRET}&UserId={SECRET}&XmlIn=a", "Logon?OperatorPassword=***&UserId=***&XmlIn=a"),
        (f"UserId%3D{SECRET}", "UserId%3D***"),
    ],
)
def test_a_secret_is_hidden_in_any_spelling(text: str, shown: str) -> None:
    assert hide_secrets(text) == shown
    assert hide_secrets(shown) == shown
    assert SECRET not in redact_text(text)
    assert SECRET not in str(redact({"reply": [text]}))


@pytest.mark.parametrize(
    "text",
    [
        "Write postgresql://USER:PASSWORD@HOST/NAME or sqlite:////FOLDER/FILE",
        "Write redis://:PASSWORD@HOST:6379/0, or leave it out",
        "the token endpoint refuses: invalid_grant. Its secret client_secret is not stored",
        "endpoint shop: setting token_url = 'https://shop.example/token': set it to an address",
        "the session is gone: user id or password are not known",
        "Bearer authentication is refused, Basic authentication too",
        "Basic T-shirt, white; the bearer of this: nobody",
        "ask me@shop.example or https://shop.example:8080/orders?mail=me@shop.example",
        "usage: --operator <operator> --password <password> and more",
        '{"order": "5001", "customerRef": "A/1", "passenger": "Ann"}',
        "<Customer>C1</Customer><PasswordHint>the dog</PasswordHint>",
    ],
)
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    assert hide_secrets(text) == text


@pytest.mark.parametrize(
    "part",
    [
        "password ",
        "password=",
        "<password>",
        "<password ",
        "<a.",
        "\\",
        'token="\\',
        "bearer ",
        "://",
        "://a",
        "token=[",
        "a",
    ],
)
def test_the_time_grows_with_the_length_of_the_text_alone(part: str) -> None:
    """No timing of its own: a pattern that tries all ways through 200,000 characters would not end within the hour."""
    text = "password:" + part * (200_000 // len(part))
    assert len(hide_secrets(text)) <= len(text) + len(text)
