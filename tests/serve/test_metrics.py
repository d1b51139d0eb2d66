"""Numbers as Prometheus reads them."""

from rdet.serve.metrics import Counter, Histogram, Metrics


def test_a_histogram_counts_what_is_up_to_each_bound():
    histogram = Histogram((1, 2.5))
    for value in (0.5, 1, 2, 9):
        histogram.add(value)
    assert list(histogram.samples()) == [
        ("_bucket", (("le", "1"),), 2),
        ("_bucket", (("le", "2.5"),), 3),
        ("_bucket", (("le", "+Inf"),), 4),
        ("_sum", (), 12.5),
        ("_count", (), 4),
    ]


def test_counters_have_labels():
    counter = Counter()
    assert list(counter.samples()) == [("", (), 0.0)]
    counter.add(path="/a", status="200")
    counter.add(2, path="/a", status="200")
    counter.add(path="/b", status="200")
    assert [value for _, _, value in counter.samples()] == [3, 1]


def test_the_text_has_each_number_with_its_kind():
    metrics = Metrics(lambda: 3, lambda: 4)
    metrics.requests.add(path='a"\n\\b', status="404")
    lines = metrics.text().splitlines()
    assert r'rdet_requests_total{path="a\"\n\\b",status="404"} 1' in lines
    assert "rdet_images_waiting 3" in lines
    assert "# TYPE rdet_requests_inside gauge" in lines
    assert "# TYPE rdet_request_seconds histogram" in lines
    assert 'rdet_batch_images_bucket{le="+Inf"} 0' in lines
