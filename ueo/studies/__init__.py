"""Studies: many runs that answer one question, such as which OOD score after which fine-tuning."""
