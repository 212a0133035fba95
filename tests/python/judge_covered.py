"""What no model tries, with the reason. All else that the standard has must be tried: a new operator or attribute demands a look."""

SEQUENCES = "sequences and optional values are no tensors"
STRINGS = "strings"
RANDOM = "random outputs"
OLD = "no runtime has versions as old as this"
FLOAT8 = "concerns FLOAT8, which the runtime refuses"

# Operators that are not tried.
EXCUSED = {
    **dict.fromkeys(["ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert"], SEQUENCES),
    **dict.fromkeys(["SequenceLength", "SequenceMap", "SplitToSequence", "Optional", "OptionalGetElement", "OptionalHasElement"], SEQUENCES),
    **dict.fromkeys(["RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"], STRINGS),
    **dict.fromkeys(["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"], RANDOM),
    "ImageDecoder": "images",
}  # fmt: skip

# Attributes that are not tried, of one operator or, by "*", of any.
ATTRIBUTES = {
    ("*", "consumed_inputs"): OLD,
    ("*", "output_sequence"): OLD,
    ("Pow", "axis"): OLD,
    ("Pow", "broadcast"): OLD,
    ("Dropout", "is_test"): OLD,
    ("Upsample", "height_scale"): OLD,
    ("Upsample", "width_scale"): OLD,
    ("Cast", "round_mode"): FLOAT8,
    ("Cast", "saturate"): FLOAT8,
    ("CastLike", "round_mode"): FLOAT8,
    ("CastLike", "saturate"): FLOAT8,
    ("QuantizeLinear", "saturate"): FLOAT8,
    ("Constant", "sparse_value"): "sparse tensors",
    ("Constant", "value_string"): STRINGS,
    ("Constant", "value_strings"): STRINGS,
    ("TopK", "sorted"): "without it the order of outputs is anything",
}


def missing(abouts):
    """What of the standard is tried by none of these cases and excused by nothing."""
    from judge_operators import versions

    tried = {about["operator"] for about in abouts}
    attributes = {(about["operator"], name) for about in abouts for name in about["attributes"]}
    found = set()
    for schema, known, _ in versions():
        if schema.name not in tried:
            found.add(f"{schema.name} is tried by no model")
        for name in known:
            pair = (schema.name, name)
            if pair not in attributes and pair not in ATTRIBUTES and ("*", name) not in ATTRIBUTES:
                found.add(f"attribute {name} of {schema.name} is tried by no model")
    return sorted(found)
