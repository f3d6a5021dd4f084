"""WordPiece vocabulary: BERT-mini's own where there is one, else one trained on the logs.

Belongs here: building and reading the fast tokenizer. The masks that make normalised text are in
``logs.log_tokenizer``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from logad_pipeline.detectors.masking import SpecialIds

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
SPECIAL_TOKENS: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_wordpiece(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train a WordPiece tokenizer (Wu et al., 2016) of at most ``vocab_size`` entries on normalised lines.

    A line that is seen once weighs as much as a frequent one, so pass unique lines. Words of logs that
    come later and were never seen fall apart into known pieces or single letters; every ASCII letter and
    digit is in the vocabulary, so that few of them become [UNK].
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    normalizer = normalizers.BertNormalizer(lowercase=True)
    texts = list(texts)
    letters = sorted({c for text in texts for c in normalizer.normalize_str(text)} - {" "} | set(_LETTERS))
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=64))
    tokenizer.normalizer = normalizer
    # At white space alone: normalised lines have little punctuation, and a path or a class name is one word.
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        # Left to itself the trainer knows only the continuations it meets, and numbers them in hash order.
        special_tokens=[*SPECIAL_TOKENS, *(f"##{letter}" for letter in letters)],
        initial_alphabet=letters,
        continuing_subword_prefix="##",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    words = tokenizer.get_vocab()
    trained = Tokenizer(models.WordPiece(words, unk_token="[UNK]", max_input_chars_per_word=64))
    trained.normalizer = normalizer
    trained.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trained.add_special_tokens(list(SPECIAL_TOKENS))
    return trained


def read_wordpiece(directory: Path) -> Tokenizer:
    """Read ``tokenizer.json``, or ``vocab.txt`` of an older checkpoint, from a folder.

    Raises:
        FileNotFoundError: if the folder has neither.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    whole = directory / "tokenizer.json"
    if whole.is_file():
        tokenizer = Tokenizer.from_file(str(whole))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer
    vocabulary = directory / "vocab.txt"
    if not vocabulary.is_file():
        raise FileNotFoundError(f"{directory}: neither tokenizer.json nor vocab.txt; the checkpoint needs one")
    tokenizer = Tokenizer(models.WordPiece.from_file(str(vocabulary), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def special_ids(tokenizer: Tokenizer) -> SpecialIds:
    """Numbers of the special tokens.

    Raises:
        ValueError: if the vocabulary lacks one of them: it is not BERT's.
    """
    known = tokenizer.get_vocab()
    missing = [token for token in SPECIAL_TOKENS if token not in known]
    if missing:
        raise ValueError(f"the vocabulary has no {', '.join(missing)}; a BERT WordPiece vocabulary is needed")
    return SpecialIds(*(known[token] for token in SPECIAL_TOKENS))


def tokenise(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int) -> list[npt.NDArray[np.int64]]:
    """Token ids of each text, special tokens not added, cut at ``max_tokens``, at least one ([UNK])."""
    unknown = special_ids(tokenizer).unk
    encodings = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    return [np.array(encoding.ids[:max_tokens] or [unknown], dtype=np.int64) for encoding in encodings]
