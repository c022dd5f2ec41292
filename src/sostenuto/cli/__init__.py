"""The command line: fit, predict, evaluate and describe tables of sequences; explain the code of an error."""
