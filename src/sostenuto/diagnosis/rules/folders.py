"""Model folders, results and streams of the command line. Our own errors."""

from sostenuto.diagnosis.catalogue import rule

SO801 = rule(
    "SO801",
    "There is no model of Sostenuto to read",
    "A model folder holds model.keras (the network) and sostenuto.json (how a table becomes what the network reads); "
    "'sostenuto fit' writes both, whole or not at all.",
    "Check the path; name the folder, not a file in it; train again if a file was lost.",
    needs="the command line",
)

SO802 = rule(
    "SO802",
    "A result cannot be written",
    "Nothing is overwritten that Sostenuto has not written itself, and a folder must allow writing.",
    "Name another place with --out.",
    needs="the command line",
)

SO803 = rule(
    "SO803",
    "A row of a stream cannot be taken",
    "A row needs an id, the time (where the model was trained with one), later than that of the row of this id "
    "before it, and a finite number for every feature. All rows before the one named were answered and are kept; "
    "none after it was touched.",
    "Correct the row and run the command again: rows that were done before are told by their time and skipped "
    "(without a time: with --resume). Or pass --skip-bad to leave such rows out.",
    needs="the command line",
)

SO804 = rule(
    "SO804",
    "An id on the command line may mean two ids",
    "17 and '17' are two ids, a number and a text; a store may hold both, and a command line knows text only.",
    "Pass --keys and write ids as JSON: 17 for the number, '\"17\"' for the text, '[\"lyon\",3]' for a tuple.",
    needs="the command line",
)

SO805 = rule(
    "SO805",
    "States cannot be exported to, or imported from, a file",
    "'sostenuto state export' writes files that hold the states of a store, which model made them, and all that is "
    "needed to go on from them; 'import' reads these and no others, and leaves ids alone that are there already.",
    "Import what was exported; pass --replace to put the file's states in place of those there.",
    needs="the command line",
)
