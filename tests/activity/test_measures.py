from __future__ import annotations

from claracore.host.activity import measures
from claracore.host.activity.measures import Counter, Gauge, Histogram, exposition, merged


def test_counters_and_gauges_as_prometheus_reads_them() -> None:
    counter = Counter("a_total", "Some \\ help\nmore", ("model", "status"))
    counter.add('q"w\\e\nn', "200")
    counter.add('q"w\\e\nn', "200", by=2)
    gauge = Gauge("b", "Now.", (), [((), 1.5)])
    assert exposition([counter, gauge]) == (
        "# HELP a_total Some \\\\ help\\nmore\n"
        "# TYPE a_total counter\n"
        'a_total{model="q\\"w\\\\e\\nn",status="200"} 3\n'
        "# HELP b Now.\n"
        "# TYPE b gauge\n"
        "b 1.5\n"
    )


def test_histogram_buckets_are_cumulative_and_include_their_bound() -> None:
    histogram = Histogram("h", "", ("m",), (0.1, 1.0))
    for value in (0.1, 0.5, 7.0):
        histogram.observe(value, "x")
    assert list(histogram.lines()) == [
        'h_bucket{m="x",le="0.1"} 1',
        'h_bucket{m="x",le="1"} 2',
        'h_bucket{m="x",le="+Inf"} 3',
        'h_sum{m="x"} 7.6',
        'h_count{m="x"} 3',
    ]
    assert histogram.total("x") == (3, 7.6)
    assert histogram.total("y") == (0, 0.0)


def test_clients_cannot_fill_our_memory_with_labels() -> None:
    counter = Counter("a", "", ("model",))
    for number in range(measures.MOST_SERIES + 5):
        counter.add(str(number))
    assert len(counter.values) == measures.MOST_SERIES + 1
    assert counter.values["other",] == 5


def test_engines_are_told_apart_by_model_and_families_stay_together() -> None:
    text = (
        "# HELP llamacpp:prompt_tokens_total Tokens.\n# TYPE llamacpp:prompt_tokens_total counter\n"
        "llamacpp:prompt_tokens_total 12\nnonsense line here\n"
        '# TYPE h histogram\nh_bucket{le="+Inf"} 3\nh_count 3\n'
    )
    out = merged("", {"a": text, 'b"': text}).splitlines()
    assert out == [
        "# HELP llamacpp:prompt_tokens_total Tokens.",
        "# TYPE llamacpp:prompt_tokens_total counter",
        'llamacpp:prompt_tokens_total{model="a"} 12',
        'llamacpp:prompt_tokens_total{model="b\\""} 12',
        "# TYPE h histogram",
        'h_bucket{model="a",le="+Inf"} 3',
        'h_count{model="a"} 3',
        'h_bucket{model="b\\"",le="+Inf"} 3',
        'h_count{model="b\\""} 3',
    ]
    assert merged("", {}) == ""


def test_an_engine_may_have_families_and_labels_of_our_names() -> None:
    ours = '# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 5\n# TYPE a gauge\na{model="m"} 1\n'
    theirs = (
        "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 7\n"
        '# TYPE vllm:e2e gauge\nvllm:e2e{path="x,model=\\"y\\"",model="facebook/opt"} 2\nvllm:e2e_other 3\n'
    )
    assert merged(ours, {"opt": theirs}).splitlines() == [
        "# TYPE process_cpu_seconds_total counter",
        "process_cpu_seconds_total 5",
        'process_cpu_seconds_total{model="opt"} 7',
        "# TYPE a gauge",
        'a{model="m"} 1',
        "# TYPE vllm:e2e gauge",
        'vllm:e2e{model="opt",path="x,model=\\"y\\"",exported_model="facebook/opt"} 2',
        'vllm:e2e_other{model="opt"} 3',
    ]


def test_labels_that_follow_from_others_are_added_to_each_sample() -> None:
    counter = Counter("a_total", "A.", ("model",))
    counter.add("desk/x")
    histogram = Histogram("b_seconds", "B.", ("model",), bounds=(1.0,))
    histogram.observe(0.5, "desk/x")
    text = exposition([counter, histogram], lambda named: [*named, ("node", "desk")])
    assert 'a_total{model="desk/x",node="desk"} 1' in text
    assert 'b_seconds_bucket{model="desk/x",node="desk",le="1"} 1' in text
    assert 'b_seconds_count{model="desk/x",node="desk"} 1' in text
