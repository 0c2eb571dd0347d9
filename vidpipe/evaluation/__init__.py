"""Model evaluation and promotion: statistical comparison, promotion gate, model card, active learning."""
