//! Branches and loops, sequences, optionals, strings and losses.

use super::Row;

pub(super) const ROWS: &[Row] = &[
    Row { operators: &["If", "Loop"], versions: &[1, 11, 13, 16, 19, 21, 23, 24, 25], changed: &[] },
    Row {
        operators: &[
            "ConcatFromSequence",
            "SequenceAt",
            "SequenceConstruct",
            "SequenceEmpty",
            "SequenceErase",
            "SequenceInsert",
            "SequenceLength",
        ],
        versions: &[11],
        changed: &[],
    },
    Row { operators: &["SplitToSequence"], versions: &[11, 24], changed: &[] },
    Row { operators: &["SequenceMap"], versions: &[17], changed: &[] },
    Row { operators: &["Optional"], versions: &[15], changed: &[] },
    Row { operators: &["OptionalGetElement", "OptionalHasElement"], versions: &[15, 18], changed: &[] },
    Row { operators: &["TfIdfVectorizer"], versions: &[9], changed: &[] },
    Row { operators: &["StringNormalizer"], versions: &[10], changed: &[] },
    Row {
        operators: &["RegexFullMatch", "StringConcat", "StringSplit", "ImageDecoder"],
        versions: &[20],
        changed: &[],
    },
    Row { operators: &["NegativeLogLikelihoodLoss"], versions: &[12, 13, 22], changed: &[] },
    Row { operators: &["SoftmaxCrossEntropyLoss"], versions: &[12, 13], changed: &[] },
];
