"""The vocabulary: trained on logs, or read from a checkpoint of either layout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from logad_pipeline.detectors.vocabulary import (
    SPECIAL_TOKENS,
    read_wordpiece,
    special_ids,
    tokenise,
    train_wordpiece,
)

LINES = ["failed password for user from ip", "session opened for user", "user logged in from ip"]


def test_words_of_the_logs_are_whole() -> None:
    tokenizer = train_wordpiece(LINES, 400)
    assert tokenizer.encode(LINES[0], add_special_tokens=False).tokens == LINES[0].split()


def test_words_never_seen_fall_into_letters() -> None:
    strange = train_wordpiece(LINES, 400).encode("zyx9q", add_special_tokens=False).tokens
    assert "".join(token.removeprefix("##") for token in strange) == "zyx9q"


def test_the_special_tokens_stand_first_and_padding_is_zero() -> None:
    tokenizer = train_wordpiece(LINES, 400)
    ids = special_ids(tokenizer)
    assert [tokenizer.id_to_token(i) for i in range(5)] == list(SPECIAL_TOKENS)
    assert (ids.pad, ids.unk, ids.cls, ids.sep, ids.mask) == (0, 1, 2, 3, 4)


def test_the_vocabulary_keeps_to_its_size() -> None:
    texts = [f"{a}{b} worked on {b}{a}{a}" for a in "abcdefghij" for b in "klmnopqrst"]
    assert train_wordpiece(texts, 150).get_vocab_size() <= 150


def test_the_same_lines_give_the_same_vocabulary_in_any_order() -> None:
    assert train_wordpiece(LINES, 400).get_vocab() == train_wordpiece(LINES[::-1], 400).get_vocab()


def test_an_older_vocab_file_gives_the_same_tokens_as_tokenizer_json(tmp_path: Path) -> None:
    trained = train_wordpiece(LINES, 400)
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    words = sorted(trained.get_vocab(), key=trained.get_vocab().__getitem__)
    (old / "vocab.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    trained.save(str(new / "tokenizer.json"))
    # A vocabulary alone does not say where words end: an older reader splits at punctuation as well.
    plain = [text for text in LINES if text.replace(" ", "").isalnum()]
    assert plain
    for text in (*plain, "User LOGGED in twice status200 sep zyx"):
        readers = (trained, read_wordpiece(old), read_wordpiece(new))
        one, *others = (reader.encode(text, add_special_tokens=False).ids for reader in readers)
        assert others == [one, one]


def test_padding_and_truncation_that_a_checkpoint_brings_are_switched_off(tmp_path: Path) -> None:
    trained = train_wordpiece(LINES, 400)
    trained.enable_padding(length=64)
    trained.enable_truncation(2)
    trained.save(str(tmp_path / "tokenizer.json"))
    (ids,) = tokenise(read_wordpiece(tmp_path), LINES[:1], 40)
    assert len(ids) == len(LINES[0].split())


def test_a_folder_without_a_vocabulary_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"neither tokenizer\.json nor vocab\.txt"):
        read_wordpiece(tmp_path)


def test_a_vocabulary_that_is_not_berts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[UNK]\n[CLS]\n[SEP]\nfailed\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"no \[PAD\], \[MASK\]"):
        special_ids(read_wordpiece(tmp_path))


def test_lines_are_cut_and_never_empty() -> None:
    tokenizer = train_wordpiece(LINES, 400)
    long, empty = tokenise(tokenizer, ["user " * 50, ""], 8)
    assert len(long) == 8
    assert empty.tolist() == [special_ids(tokenizer).unk]


def test_a_word_of_absurd_length_is_one_unknown_token() -> None:
    tokenizer = train_wordpiece(LINES, 400)
    (ids,) = tokenise(tokenizer, ["x" * 5000], 40)
    assert ids.tolist() == [special_ids(tokenizer).unk]


def test_the_vocabulary_is_kept_as_plain_json(tmp_path: Path) -> None:
    train_wordpiece(LINES, 400).save(str(tmp_path / "tokenizer.json"))
    kept = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert kept["model"]["type"] == "WordPiece"
