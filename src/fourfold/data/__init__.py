"""Documents: collect, clean, de-identify, describe, split. Arrow tables in, Arrow tables out."""
