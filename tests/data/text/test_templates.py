from pathlib import Path

import pytest

from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate, prepare
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.templates import ItemLines, LineConfig, PromptConfig, PromptWriter

ITEMS = """item_id,domain,title,brand,kind
a,x,Green  Tea of the hills,Acme Inc,tea
b,x,,Bolt,pot
c,y,Cup,,
d,y,,,
"""
USERS = "user_id,about\nu,old and wise\nv,\n"


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    """Two users, of whom one has a text; item d has no field but the text of its kind."""
    rows = "".join(f"{user},{item},{at}\n" for user in "uv" for at, item in enumerate("abcd"))
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\n" + rows)
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "users.csv").write_text(USERS)
    (tmp_path / "data.yaml").write_text(
        f"""
interactions: {{path: {tmp_path}/log.csv}}
items: {{path: {tmp_path}/items.csv, title: title, text: [title, kind]}}
users: {{path: {tmp_path}/users.csv, text: [about]}}
domains: {{x: things to drink}}
output: {tmp_path}/prepared
"""
    )
    return Prepared.open(prepare(load_config(tmp_path / "data.yaml")))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LineConfig(), ["Green Tea of the hills", "pot", "Cup", ""]),
        (LineConfig(fields={"title": 2}), ["Green Tea", "pot", "Cup", ""]),
        (LineConfig(fields={"title": 2, "brand": 1}), ["Green Tea, Acme", "Bolt", "Cup", ""]),
        (
            LineConfig(fields={"title": 2, "brand": 0}, item_template="{title}[ by {brand}]"),
            ["Green Tea by Acme Inc", "by Bolt", "Cup", ""],
        ),
    ],
)
def test_lines_say_the_fields_within_their_words(
    prepared: Prepared, config: LineConfig, expected: list[str]
) -> None:
    assert ItemLines(prepared, config, "lines").texts == ["", *expected]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (LineConfig(fields={"titel": 3}), r"lines\.fields: .*no column `titel`; did you .*`title`"),
        (
            LineConfig(fields={"title": -1}),
            r"lines\.fields: title: -1: words are 0 \(all\) or more",
        ),
        (LineConfig(fields={}), r"lines\.fields: empty; name at least one of brand, "),
        (
            LineConfig(item_template="{title} {brand}"),
            r"lines\.item_template: no field is `brand`; valid: title",
        ),
    ],
)
def test_broken_lines_are_refused(prepared: Prepared, config: LineConfig, words: str) -> None:
    with pytest.raises(InputError, match=words):
        ItemLines(prepared, config, "lines")


def test_a_prompt_says_all_its_placeholders(prepared: Prepared) -> None:
    template = "[User: {user}. ]Bought: {history}. Buys {candidate} of {domain}?\n{{Answer}}: "
    writer = PromptWriter(prepared, PromptConfig(template=template), "prompt")
    assert writer.write("a; b", "c", 1, 1) == (
        "User: old and wise. Bought: a; b. Buys c of things to drink?\n{Answer}:"
    )
    assert writer.write("", "c", 2, 2) == "Bought: none. Buys c of y?\n{Answer}:"


def test_a_profile_is_cut_and_an_optional_history_left_out(prepared: Prepared) -> None:
    config = PromptConfig(template="{user}: [{history} -> ]{candidate}", profile_words=2)
    writer = PromptWriter(prepared, config, "prompt")
    assert writer.write("a", "c", 1, 1) == "old and: a -> c"
    assert writer.write("", "c", 1, 2) == "none: c"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{history}: {candidat}?", r"prompt\.template: .*placeholder `candidat`; .*`candidate`"),
        (
            "{history}?",
            r"prompt\.template: '{history}\?' never says the candidate; write `{candidate",
        ),
        ("{history: {candidate}", r"prompt\.template: `{` in .* has no partner"),
    ],
)
def test_broken_templates_are_refused(prepared: Prepared, template: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        PromptWriter(prepared, PromptConfig(template=template), "prompt")


def test_a_profile_that_no_user_has_is_refused(tiny_dataset: Path) -> None:
    config = PromptConfig(template="{user}: {candidate}?")
    with pytest.raises(InputError, match=r"template: {user}: no user of .*`users\.text`"):
        PromptWriter(Prepared.open(locate(tiny_dataset)), config, "prompt")
