"""What the library costs, beside what else does the same job: ``python -m benchmarks``."""
