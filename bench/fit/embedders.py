"""Published shapes that make embeddings or rank documents."""

from __future__ import annotations

from published import reading

BERT = ("qkv biases", "output biases", "feed-forward biases")
QK = ("query norms",)
MEAN, CLS, LAST, RANK = 1, 2, 3, 4
"""llama.h, `enum llama_pooling_type`"""
XLM = {"tokenizer.ggml.token_type_count": 1, ".attention.causal": False}

EMBEDDERS = (
    reading(
        "bge-m3-Q8_0", "BAAI/bge-m3", has=BERT,
        arch="bert", layers=24, embedding=1024, heads=16, kv_heads=16, ff=4096, vocab=250002, context=8192,
        quant="Q8_0", tied=True, keys=XLM | {".pooling_type": CLS},
    ),
    reading(
        "bge-reranker-v2-m3-Q8_0", "BAAI/bge-reranker-v2-m3", has=(*BERT, "classifier"),
        arch="bert", layers=24, embedding=1024, heads=16, kv_heads=16, ff=4096, vocab=250002, context=8192,
        quant="Q8_0", tied=True, keys=XLM | {".pooling_type": RANK, ".classifier.output_labels": ["LABEL_0"]},
    ),
    reading(
        "nomic-embed-text-v1.5-F16", "nomic-ai/nomic-embed-text-v1.5", joined=True,
        arch="nomic-bert", layers=12, embedding=768, heads=12, kv_heads=12, ff=3072, vocab=30522, context=2048,
        quant="F16", tied=True,
        keys={"tokenizer.ggml.token_type_count": 2, ".attention.causal": False, ".pooling_type": MEAN},
    ),
    reading(
        "qwen3-embedding-0.6b-Q8_0", "Qwen/Qwen3-Embedding-0.6B", has=QK,
        arch="qwen3", layers=28, embedding=1024, heads=16, kv_heads=8, head_dim=128, ff=3072, vocab=151669,
        context=32768, quant="Q8_0", tied=True, keys={".pooling_type": LAST},
    ),
    reading(
        "qwen3-reranker-0.6b-Q8_0", "Qwen/Qwen3-Reranker-0.6B", has=(*QK, "classifier"),
        arch="qwen3", layers=28, embedding=1024, heads=16, kv_heads=8, head_dim=128, ff=3072, vocab=151669,
        context=40960, quant="Q8_0", tied=True,
        keys={".pooling_type": RANK, ".classifier.output_labels": ["yes", "no"]},
    ),
    reading(
        "embeddinggemma-300m-Q8_0", "google/embeddinggemma-300m", has=(*QK, "dense layers"),
        arch="gemma-embedding", layers=24, embedding=768, heads=3, kv_heads=1, head_dim=256, ff=1152, vocab=262144,
        context=2048, quant="Q8_0", tied=True,
        keys={
            ".attention.sliding_window": 512, ".attention.causal": False, ".pooling_type": MEAN,
            ".dense_2_feat_in": 768, ".dense_2_feat_out": 3072, ".dense_3_feat_in": 3072, ".dense_3_feat_out": 768,
        },
    ),
)  # fmt: skip
