import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifiers.addresses import mailbox, phone_number
from notifiers.errors import AddressRefused, NotifierError


@pytest.mark.parametrize(
    ("address", "ascii_form"),
    [
        ("ana@corp.example", "ana@corp.example"),
        ("Ana.O'Hara+soc@Corp.example", "Ana.O'Hara+soc@corp.example"),
        ("ana@bücher.example", "ana@xn--bcher-kva.example"),
        ("ana@corp.local", "ana@corp.local"),
        ("root@localhost", "root@localhost"),
        ("ana@example", "ana@example"),
    ],
)
def test_mailbox(address: str, ascii_form: str):
    assert mailbox(address) == ascii_form


@given(st.text(st.characters(codec=None, categories=None)) | st.from_regex(r"[ -~\r\n]{1,20}@[ -~\r\n]{1,20}"))
def test_a_mailbox_can_end_no_smtp_command(address: str):
    try:
        result = mailbox(address)
    except AddressRefused as refusal:
        assert str(refusal).isprintable()  # noqa: PT017 - most texts are refused
    else:
        assert result.isascii()
        assert result.isprintable()
        assert not set(result) & set('<>()[]," ;:\\')
        assert result.count("@") == 1


def test_refusal_says_what_is_wrong_and_what_to_do():
    with pytest.raises(AddressRefused) as refusal:
        mailbox("ana at corp.example")
    assert isinstance(refusal.value, NotifierError)
    assert "'ana at corp.example' is not an e-mail address" in str(refusal.value)
    assert refusal.value.diagnostics().endswith("next: Correct the person's address: casewright people import.")


@pytest.mark.parametrize(
    ("number", "e164"),
    [
        ("+14155552671", "+14155552671"),
        ("+1 (415) 555-2671", "+14155552671"),
        ("+49 (0)30 123-4567", "+49301234567"),
        ("tel:+14155552671", "+14155552671"),
    ],
)
def test_phone_number(number: str, e164: str):
    assert phone_number(number) == e164


@given(st.text())
def test_a_phone_number_is_plus_and_digits(number: str):
    try:
        result = phone_number("+" + number)
    except AddressRefused as refusal:
        assert str(refusal).isprintable()  # noqa: PT017 - most texts are refused
    else:
        assert result[0] == "+"
        assert result[1:].isascii()
        assert result[1:].isdigit()


@pytest.mark.parametrize("number", ["", "garbage", "4155552671", "+1500", "+", "+999 1234567", "+1415555267155555"])
def test_number_without_country_or_length_is_refused(number: str):
    with pytest.raises(AddressRefused, match="country code"):
        phone_number(number)
