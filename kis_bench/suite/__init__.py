"""The benchmarks as tests, for any repository that declares models and datasets: ``pytest --pyargs kis_bench.suite``.

In a checkout they lie in ``benchmarks/``; a wheel has them here.
"""
