"""The fused op by itself: under pytest-benchmark, under sanitizers, and what the CUDA compiler says of it."""
