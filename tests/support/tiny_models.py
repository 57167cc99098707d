"""Models of a few thousand random weights, made on the spot and loaded by the very code that loads real ones."""

from __future__ import annotations

from pathlib import Path

__all__ = ["make_cross_encoder", "make_encoder"]

TEXT = """
the quick brown fox jumps over the lazy dog while seven wizards box in a quiet harbour town
a gateway serves models and functions under one name each and answers questions from documents
retrieval finds passages that a reader can cite and a reranker puts the best of them first
"""
SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


def _tokenizer():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertTokenizerFast

    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(
        TEXT.splitlines(), trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    )
    ends = [(token, made.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return BertTokenizerFast(tokenizer_object=made, model_max_length=SIZE["max_position_embeddings"])


def _transformer(folder: Path, kind: str, **config: int) -> Path:
    import torch
    import transformers

    torch.manual_seed(7)
    tokenizer = _tokenizer()
    settings = transformers.BertConfig(vocab_size=len(tokenizer), initializer_range=0.5, **SIZE, **config)
    getattr(transformers, kind)(settings).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_encoder(folder: Path) -> Path:
    """Write a sentence encoder with prompts into a folder."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    words = Transformer(str(_transformer(folder / "bert", "BertModel")), max_seq_length=48)
    model = SentenceTransformer(
        modules=[words, Pooling(SIZE["hidden_size"])],
        prompts={"query": "question: ", "document": "passage: ", "other": "wizards "},
        device="cpu",
    )
    model.save(str(folder / "encoder"), create_model_card=False)
    return folder / "encoder"


def make_cross_encoder(folder: Path, labels: int = 1) -> Path:
    """Write a model that scores pairs into a folder."""
    return _transformer(folder / "cross", "BertForSequenceClassification", num_labels=labels)
