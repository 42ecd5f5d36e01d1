"""A guard over the processes of the tests: nothing is unpickled. Also what Python imports at the start of each of them."""
