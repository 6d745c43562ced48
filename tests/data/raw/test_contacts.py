"""Which texts hold contacts of people."""

import polars as pl
import pytest

from xrec_lightning.data.raw.contacts import contact_in, mask_contacts, scan_for_contacts

PHONES = [
    "+49 30 1234567",
    "+14155552671",
    "+1 (415) 555-2671",
    "+44 20 7946 0958",
    "ring +49 (0)30 1234567.",
    "0049 30 1234567",
    "(415) 555-2671",
    "415-555-2671",
    "415.555.2671",
    "1-800-555-0199",
    "030/1234567",
    "089-12345678",
    "01 23 45 67 89",
    "Tel.: 555 0123 456",
    "call us at 8005550199",
    "phone: (030) 123 456 7",
]
NO_PHONES = [
    "12.99",
    "1,299.00",
    "EUR 1.299,00",
    "+10.000.000",
    "+1,000,000",
    "+10000",
    "+5 %",
    "4006381333931",
    "0012345678905",
    "978-3-16-148410-0",
    "ISBN 978-0-306-40615-7",
    "9783161484100",
    "0-12345-67890-5",
    "2020-01-01",
    "2020-01-01T00:00:00+0100",
    "2020-01-01 10:00:00+02:00",
    "01.02.2020",
    "1990-2000",
    "1990 2000 2010 2020",
    "123-45-6789",
    "10.0.0.1",
    "192.168.100.200",
    "12 x 500 ml",
    "5-10-15-20",
    "1600000000",
    "3.14159265",
    "-12.345.678",
    "B000123456",
    "00012345",
    "123 4567",
    "iPhone 13 128 GB",
    "phone 12",
    "mobile 2019 2020",
    "call of duty 2020",
    "Model 2000-100-2000",
]
EMAILS = ["jo@shop.org", "write to Jo.Smith+tea@mail.shop.co.uk!", "<a1@b-c.io>"]
NO_EMAILS = ["@handle", "3 @ 2.50", "a@b", "logo@2x.png", "10@1.99", "jo(at)shop.org"]


def found(text: str, kind: str) -> bool:
    return bool(pl.DataFrame({"text": [text]}).select(contact_in(pl.col("text"), kind)).item())


@pytest.mark.parametrize("text", PHONES)
def test_phone_number_is_found(text: str) -> None:
    assert found(text, "phone")


@pytest.mark.parametrize("text", NO_PHONES)
def test_other_numbers_are_no_phone_numbers(text: str) -> None:
    assert not found(text, "phone")


@pytest.mark.parametrize("text", EMAILS)
def test_address_is_found(text: str) -> None:
    assert found(text, "email")


@pytest.mark.parametrize("text", [*NO_EMAILS, *NO_PHONES])
def test_other_texts_are_no_addresses(text: str) -> None:
    assert not found(text, "email")


def test_file_name_does_not_hide_an_address() -> None:
    assert found("logo@2x.png of jo@shop.org", "email")


@pytest.mark.parametrize("text", PHONES)
def test_masked_number_shows_two_digits(text: str) -> None:
    masked = mask_contacts(text)
    assert len(masked) == len(text)
    assert sum(each.isdigit() for each in masked) <= 2


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("jo@shop.org", "j***@***.org"),
        ("a@shop.org, b@shop.org", "a***@***.org, b***@***.org"),
        ("tea 12.99", "tea 12.99"),
    ],
)
def test_masked_text_keeps_the_rest(text: str, masked: str) -> None:
    assert mask_contacts(text) == masked


def test_scan_counts_rows_by_column_and_kind() -> None:
    rows = pl.LazyFrame(
        {
            "about": ["tea", None, "jo@shop.org or amy@shop.org", "+49 30 1234567", "al@tea.org"],
            "tags": [["a"], ["b", "call 030/1234567"], [], None, ["c"]],
            "age": [1, 2, 3, 4, 5],
        }
    )
    findings = scan_for_contacts(rows, ["about", "tags", "age"])
    assert [(f.code, f.column, f.count, f.share, f.row, f.example) for f in findings] == [
        ("email_in_text", "about", 2, 0.4, 2, "j***@***.org"),
        ("phone_in_text", "about", 1, 0.2, 3, "+** ** *****67"),
        ("phone_in_text", "tags", 1, 0.2, 1, "call ***/*****67"),
    ]
    assert {finding.severity for finding in findings} == {"warning"}


def test_scan_of_numbers_and_of_nothing_finds_nothing() -> None:
    assert scan_for_contacts(pl.LazyFrame({"age": [30]}), ["age"]) == []
    assert scan_for_contacts(pl.LazyFrame(schema={"about": pl.String}), ["about"]) == []
