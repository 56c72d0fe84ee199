"""Fraud: the rules, and what a worker remembers to judge by them. The stage is workers/stages/fraud.py."""
