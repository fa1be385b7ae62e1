"""Which of llama-server's own flags can the embedded engine not honour?

What xllamacpp's parameters cannot express, what is dangerous behind a proxy (tools, MCP, other origins), and what makes
no sense here (router, downloads of presets). Loaded only to explain an error.
"""

from __future__ import annotations

WORDS = """
    --adaptive-decay --adaptive-target --agent --backend-sampling --cache-list --completion-bash --control-vector
    --control-vector-layer-range --control-vector-scaled --cors-origins --cpu-mask --cpu-mask-batch
    --cpu-mask-batch-draft --cpu-mask-draft --cpu-moe-draft --cpu-range --cpu-range-batch --cpu-range-draft
    --cpu-strict-batch --cpu-strict-batch-draft --cpu-strict-draft --defrag-thold --device --docker-repo
    --dry-sequence-breaker --embd-gemma-default --escape --fim-qwen-1 --fim-qwen-14b-spec --fim-qwen-30b-default
    --fim-qwen-3b-default --fim-qwen-7b-default --fim-qwen-7b-spec --gpt-oss-120b-default --gpt-oss-20b-default
    --grammar --grammar-file --json-schema --json-schema-file --kv-unified-per-slot --list-devices --log-colors
    --log-file --log-jsonl --log-prefix --log-prompts-dir --log-timestamps --logit-bias --lookup-cache-dynamic
    --lookup-cache-static --mcp-servers-config --mcp-servers-json --mmproj-device --model-vocoder --models-autoload
    --models-dir --models-max --models-preset --n-cpu-moe-draft --no-agent --no-escape --no-log-jsonl
    --no-log-prefix --no-log-timestamps --no-models-autoload --no-reasoning-preserve
    --no-spec-draft-backend-sampling --no-ui-mcp-proxy --no-webui-mcp-proxy --override-kv --override-tensor-draft
    --poll-batch --poll-batch-draft --poll-draft --prio-batch-draft --prio-draft --reasoning-effort
    --reasoning-preserve --rpc --sampler-seq --sampling-seq --spec-default --spec-draft-backend-sampling
    --spec-draft-cpu-mask --spec-draft-cpu-mask-batch --spec-draft-cpu-moe --spec-draft-cpu-range
    --spec-draft-cpu-strict --spec-draft-cpu-strict-batch --spec-draft-n-cpu-moe --spec-draft-ncmoe
    --spec-draft-override-tensor --spec-draft-poll --spec-draft-poll-batch --spec-draft-prio --spec-draft-prio-batch
    --spec-draft-sampling --spec-ngram-map-k-min-hits --spec-ngram-map-k-size-m --spec-ngram-map-k-size-n
    --spec-ngram-map-k4v-min-hits --spec-ngram-map-k4v-size-m --spec-ngram-map-k4v-size-n --spec-ngram-min-hits
    --spec-ngram-mod-n-match --spec-ngram-mod-n-max --spec-ngram-mod-n-min --spec-ngram-simple-min-hits
    --spec-ngram-simple-size-m --spec-ngram-simple-size-n --spec-ngram-size-m --spec-ngram-size-n --spec-synth-len
    --spec-synth-rates --spm-infill --tools --tools-runtime --top-n-sigma --top-nsigma --tts-use-guide-tokens
    --ui-config --ui-config-file --ui-mcp-proxy --vision-gemma-12b-default --vision-gemma-4b-default --webui-config
    --webui-config-file --webui-mcp-proxy -C -Cb -Cbd -Cd -Cr -Crb -Crd -ag -bs -cl -cmoed -dev -dr -dt -e -j -jf -l
    -lcd -lcs -mmdev -mv -ncmoed -no-ag -otd
"""

HUB_WORDS = """
    -hf -hfr --hf-repo -hff --hf-file -hft --hf-token -hfd -hfrd --hf-repo-draft --spec-draft-hf
"""

HUB = frozenset(HUB_WORDS.split())
"""What llama-server's command line resolves before its server begins, which xllamacpp does not do."""

NOT_HERE = frozenset(WORDS.split()) | HUB
"""Those of llama.cpp b11434, and of builds before it."""
