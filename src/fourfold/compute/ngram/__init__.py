"""N-gram models in numpy: text → counts → estimates → tables → tasks, one module each."""
