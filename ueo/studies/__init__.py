"""Studies on top of finished runs: OOD scores after fine-tuning, robust fine-tuning, claims."""
