"""E-mail addresses and phone numbers in texts that may be shown to a model or to people."""

import re
from collections.abc import Sequence

import polars as pl

from xrec_lightning.data.findings import Finding, share_of

EMAIL = r"[A-Za-z0-9][A-Za-z0-9._%+-]*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}\b"
_PHONES = (
    # International: + or 00, a country, at least eight digits; no dots, which part thousands too,
    # and with 00 a separator, which article numbers lack.
    r"\+[1-9](?:[ /()-]{0,2}\d){7,14}\b",
    r"\b00[1-9]\d{0,2}[ /-](?:[ /()-]{0,2}\d){6,12}\b",
    # North American: area and exchange start with 2 to 9, with one kind of separator.
    r"(?:\b1[ .-])?(?:\([2-9]\d{2}\) ?|\b[2-9]\d{2}-)[2-9]\d{2}-\d{4}\b",
    r"\b(?:1\.)?[2-9]\d{2}\.[2-9]\d{2}\.\d{4}\b",
    # National: an area code with its zero and a separator; French pairs.
    r"\b0[1-9]\d{1,3}[/-]\d{6,8}\b",
    r"\b0[1-9](?:[ .]\d{2}){4}\b",
    # Any digits that are said to be a number to call.
    r"(?i:\b(?:tel|telephone|phone|mobile|whatsapp|call(?: us)?(?: at| on)?)\b[.: ]{1,3})"
    r"\(?\d(?:[ ./()-]{0,2}\d){8,14}\b",
)
PHONE = r"(?:^|[^\w.,+-])(" + "|".join(_PHONES) + r")(?:$|[^\w-])"
_FILE_NAME = r"@\dx\.\w+"
"""Names of images for sharp screens, `logo@2x.png`, are no addresses."""
_KINDS = {
    "email": ("e-mail addresses", EMAIL, 0),
    "phone": ("phone numbers", PHONE, 1),
}
_ROW = "_row"


def scan_for_contacts(rows: pl.LazyFrame, columns: Sequence[str]) -> list[Finding]:
    """Return a finding for each column and kind of contact in it: `email_in_text`, `phone_in_text`.

    The rows of a finding count from 0 in ``rows``; the example is masked.

    Args:
        rows: Any table.
        columns: Those of its columns that are looked at; only strings and lists of strings can
            hold contacts.
    """
    dtypes = rows.collect_schema()
    names = [name for name in columns if _holds_text(dtypes[name])]
    if not names:
        return []
    checks = {(name, kind): _find(pl.col(name), kind) for name in names for kind in _KINDS}
    numbered = rows.select(_text_of(name, dtypes[name]) for name in names).with_row_index(_ROW)
    table = numbered.select(pl.len(), *_facts(checks)).collect(engine="streaming")
    total, *facts = table.row(0)
    found = zip(checks, facts, strict=True)
    return [_finding(*key, fact, total) for key, fact in found if fact["count"]]


def contact_in(text: pl.Expr, kind: str) -> pl.Expr:
    """Return whether strings hold a contact of that kind, `email` or `phone`."""
    return _find(text, kind).is_not_null()


def mask_contacts(text: str) -> str:
    """Return the text with what identifies people in its addresses and numbers replaced.

    Example:
        >>> mask_contacts("ask jo@shop.org or +49 30 1234567")
        'ask j***@***.org or +** ** *****67'
    """
    text = re.sub(EMAIL, lambda match: _mask_email(match[0]), text)
    return re.sub(PHONE, lambda match: match[0].replace(match[1], _mask_phone(match[1])), text)


def _holds_text(dtype: pl.DataType) -> bool:
    return dtype in (pl.String, pl.List(pl.String), pl.Categorical) or isinstance(dtype, pl.Enum)


def _text_of(name: str, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.List):
        return pl.col(name).list.join("\n", ignore_nulls=True)
    return pl.col(name).cast(pl.String)


def _find(text: pl.Expr, kind: str) -> pl.Expr:
    """Return the first contact in strings, null where there is none."""
    _, pattern, group = _KINDS[kind]
    if kind == "email":
        has_at = text.str.contains("@", literal=True)
        plain = text.str.replace_all(_FILE_NAME, " ")
        return pl.when(has_at).then(plain.str.extract(pattern, group))
    return text.str.extract(pattern, group)


def _facts(checks: dict[tuple[str, str], pl.Expr]) -> list[pl.Expr]:
    """Return for each check the number of rows, the first row, and what it found there."""
    facts = []
    for (name, kind), match in checks.items():
        is_found = match.is_not_null()
        facts.append(
            pl.struct(
                is_found.sum().alias("count"),
                pl.col(_ROW).filter(is_found).min().alias("row"),
                match.drop_nulls().first().alias("example"),
            ).alias(f"{kind} {name}")
        )
    return facts


def _finding(name: str, kind: str, fact: dict[str, int | str], total: int) -> Finding:
    label = _KINDS[kind][0]
    return Finding(
        severity="warning",
        code=f"{kind}_in_text",
        message=f"{label} in `{name}`",
        remedy="remove them from the file, leave the column out of `text`, or name it under "
        "`anonymize.drop` (profiles)",
        count=int(fact["count"]),
        share=share_of(int(fact["count"]), total),
        column=name,
        row=int(fact["row"]),
        example=mask_contacts(str(fact["example"])),
    )


def _mask_email(address: str) -> str:
    return f"{address[0]}***@***.{address.rpartition('.')[2]}"


def _mask_phone(number: str) -> str:
    """Return the number with stars for all digits but the last two."""
    last = len(number) - 2
    return "".join("*" if c.isdigit() and at < last else c for at, c in enumerate(number))
