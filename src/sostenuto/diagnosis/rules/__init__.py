"""The rules, one file per family; ``sostenuto.diagnosis.catalogue`` collects them."""
