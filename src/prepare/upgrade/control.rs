//! Control flow, recurrence, sequences, optionals, strings and losses.

use super::table::{Row, Step::Refused, Step::Widened};

pub(super) const ROWS: &[Row] = &[
    Row {
        operators: &["If", "Loop"],
        since: 1,
        steps: &[(11, Widened), (13, Widened), (16, Widened), (19, Widened), (21, Widened)],
    },
    // Scan 8 went over a batch, with sequence lengths.
    Row {
        operators: &["Scan"],
        since: 8,
        steps: &[(9, Refused), (11, Widened), (16, Widened), (19, Widened), (21, Widened)],
    },
    // Before 7 the output sequence came only when asked for; `layout` is 0 by default, as before 14.
    Row { operators: &["LSTM", "RNN"], since: 1, steps: &[(7, Refused), (14, Widened)] },
    Row { operators: &["GRU"], since: 3, steps: &[(7, Refused), (14, Widened)] },
    Row {
        operators: &[
            "ConcatFromSequence",
            "SequenceAt",
            "SequenceConstruct",
            "SequenceEmpty",
            "SequenceErase",
            "SequenceInsert",
            "SequenceLength",
            "SplitToSequence",
        ],
        since: 11,
        steps: &[],
    },
    Row { operators: &["SequenceMap"], since: 17, steps: &[] },
    Row { operators: &["Optional"], since: 15, steps: &[] },
    Row { operators: &["OptionalGetElement", "OptionalHasElement"], since: 15, steps: &[(18, Widened)] },
    Row { operators: &["TfIdfVectorizer"], since: 9, steps: &[] },
    Row { operators: &["StringNormalizer"], since: 10, steps: &[] },
    Row {
        operators: &["RegexFullMatch", "StringConcat", "StringSplit", "ImageDecoder"],
        since: 20,
        steps: &[],
    },
    Row {
        operators: &["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"],
        since: 12,
        steps: &[(13, Widened)],
    },
];
