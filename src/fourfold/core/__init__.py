"""What every layer speaks: nouns, errors, part tables, ids, settings. Imports nothing of the other layers."""
