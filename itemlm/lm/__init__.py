"""Language models as parts of papers: fresh small ones, pretrained ones by name or folder.

Everything of transformers, tokenizers and peft is imported here and nowhere else.
"""
