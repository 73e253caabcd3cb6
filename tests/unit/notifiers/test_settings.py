from pathlib import Path

import pytest
from pydantic import SecretStr

from notifiers.errors import SettingsRefused
from notifiers.settings import EmailConfig, SmsConfig

EMAIL = {"host": "mail.corp.example", "sender": "soc@corp.example"}
SMS = {
    "account_sid": "AC" + "0" * 32,
    "auth_token": SecretStr("token-nobody-may-see"),
    "messaging_service_sid": "MG" + "1" * 32,
}


def test_email_is_encrypted_unless_told_otherwise():
    config = EmailConfig(**EMAIL)
    assert (config.encryption, config.port) == ("starttls", 587)
    assert config.domain == "corp.example"
    assert config.receipt_timeout >= 120  # RFC 5321 asks for patience: a short wait makes doubt


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1", "LOCALHOST."])
def test_clear_line_is_for_this_machine(host: str):
    assert EmailConfig(**{**EMAIL, "host": host, "encryption": "none"}).host == host


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"encryption": "none"}, "unencrypted"),
        ({"encryption": "none", "host": "localhost.corp.example"}, "unencrypted"),
        ({"encryption": "none", "host": "10.0.0.1"}, "unencrypted"),
        ({"encryption": "tls"}, "none of starttls, implicit, none"),
        ({"host": ""}, "not the name of a host"),
        ({"host": "mail\r\n.example"}, "not the name of a host"),
        ({"host": "mail example"}, "not the name of a host"),
        ({"port": 0}, "port 0"),
        ({"port": 65536}, "port 65536"),
        ({"username": "u"}, "a user name needs a password"),
        ({"password": SecretStr("p")}, "a user name needs a password"),
        ({"sender": "nobody"}, "not an e-mail address"),
        ({"sender": "soc@corp.example\r\nBcc: x@y.example"}, "not an e-mail address"),
        ({"message_domain": "corp example"}, "not an e-mail address"),
        ({"message_domain": "x@y.example"}, "not an e-mail address"),
        ({"step_timeout": 0}, "timeouts"),
        ({"receipt_timeout": -1}, "timeouts"),
        ({"receipt_timeout": 161}, "must fit into the deadline"),
        ({"idle": 0}, "timeouts"),
        ({"connections": 0}, "at least one"),
        ({"letters_each": 0}, "at least one"),
    ],
)
def test_email_settings_that_contradict_themselves_are_refused(changes: dict, complaint: str):
    with pytest.raises(SettingsRefused, match=complaint) as refusal:
        EmailConfig(**{**EMAIL, **changes})
    assert refusal.value.next_step in refusal.value.diagnostics()


@pytest.mark.parametrize("base_url", ["https://gateway.corp.example", "http://127.0.0.1:4010", "http://[::1]:4010"])
def test_api_elsewhere_is_encrypted_or_on_this_machine(base_url: str):
    assert SmsConfig(**SMS, base_url=base_url).base_url == base_url


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"account_sid": "AC/../x"}, "account SID"),
        ({"account_sid": ""}, "account SID"),
        ({"messaging_service_sid": None}, "either a messaging service SID or a sender"),
        ({"sender": "+14155552671"}, "either a messaging service SID or a sender"),
        ({"messaging_service_sid": None, "sender": "garbage"}, "sender: 'garbage' is not a phone number"),
        ({"base_url": "http://gateway.corp.example"}, "unencrypted"),
        ({"base_url": "ftp://127.0.0.1"}, "unencrypted"),
        ({"base_url": "127.0.0.1:4010"}, "not the name of a host"),
        ({"connect_timeout": 15}, "time to connect"),
        ({"connect_timeout": 0}, "time to connect"),
    ],
)
def test_sms_settings_that_contradict_themselves_are_refused(changes: dict, complaint: str):
    with pytest.raises(SettingsRefused, match=complaint) as refusal:
        SmsConfig(**{**SMS, **changes})
    assert "token-nobody-may-see" not in refusal.value.diagnostics()


def test_secrets_are_hidden():
    email = EmailConfig(**EMAIL, username="u", password=SecretStr("password-nobody-may-see"), ca_file=Path("ca.pem"))
    sms = SmsConfig(**SMS)
    for words in (repr(email), str(email), f"{email}", repr(sms), str(sms)):
        assert "nobody-may-see" not in words
