"""Benchmarks: what each part costs, and how we stand beside what people use instead."""
