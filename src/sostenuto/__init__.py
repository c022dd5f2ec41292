"""Sostenuto: recurrent networks on real sequences."""
