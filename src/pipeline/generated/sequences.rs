//! Texts that a language model writes itself: it was trained on such.

use rayon::prelude::*;

use super::{OTHERS, Wish};
use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;
use crate::onnx::{Model, element_count, tensors};
use crate::runtime::{Output, Session};
use crate::samples::{Draws, Samples, Words};

/// Words of a text.
const LENGTH: usize = 64;
/// The model is run on as many words as there are, rounded up to these: it is prepared anew for each length.
const STEP: usize = 16;
/// Products of all runs at most, about 10 seconds.
const MOST: u64 = 20_000_000_000;
/// Fewer texts than these are not worth it.
const FEWEST: usize = 8;

/// Texts that the model continued word by word from a random one; `None` where it is no language model, or writing would take long.
pub(super) fn sequences(wish: &Wish) -> Result<Option<Samples>> {
    let Some(words) = Words::of(wish.model)? else { return Ok(None) };
    let given = wish.feeding.shapes.iter().find(|(name, _)| *name == words.name);
    let length = given.and_then(|(_, dims)| usize::try_from(*dims.get(1)?).ok()).unwrap_or(LENGTH).max(2);
    let wanted = wish.count.unwrap_or(OTHERS);
    let count = wanted.min(affordable(wish.model, length));
    if count < FEWEST.min(wanted) {
        return Ok(None);
    }
    let session = Session::new(wish.model, "float", &[])?;
    let write = |at: usize| {
        let text = text(wish, &words, &session, length, at)?;
        text.map(|text| inputs(wish, &words, &text)).transpose()
    };
    // Whether the outputs are a distribution of words is seen at the first one.
    let Some(first) = write(0)? else { return Ok(None) };
    let others: Result<Option<Vec<Vec<TensorProto>>>> = (1..count).into_par_iter().map(write).collect();
    let Some(others) = others? else { return Ok(None) };
    let all = std::iter::once(first).chain(others).collect();
    Ok(Some(Samples::collected(crate::plan::Generation::Sequences.name(), all)))
}

/// How many texts may be written.
fn affordable(model: &Model, length: usize) -> usize {
    let weights: u64 =
        tensors(model.graph()).iter().map(|tensor| element_count(tensor).unwrap_or(0) as u64).sum();
    let read = (length * length / 2 + length * STEP) as u64;
    usize::try_from(MOST / weights.max(1).saturating_mul(read).max(1)).unwrap_or(usize::MAX)
}

/// The inputs for a text: others than words as made-up samples have them.
fn inputs(wish: &Wish, words: &Words, text: &[usize]) -> Result<Vec<TensorProto>> {
    let mut shapes: Vec<(String, Vec<i64>)> =
        wish.feeding.shapes.iter().filter(|(name, _)| *name != words.name).cloned().collect();
    shapes.push((words.name.clone(), vec![1, text.len() as i64]));
    let mut inputs = Samples::synthetic(wish.model, &shapes, 1, wish.seed)?.get(0)?.inputs;
    if let Some(input) = inputs.get_mut(words.slot) {
        *input = words.input(text);
    }
    Ok(inputs)
}

/// The text with this index, or `None` where no output says which word comes next.
fn text(
    wish: &Wish,
    words: &Words,
    session: &Session,
    length: usize,
    index: usize,
) -> Result<Option<Vec<usize>>> {
    let mut draws = Draws::new(wish.seed, index);
    let mut text = vec![draws.below(words.vocabulary.max(1))];
    while text.len() < length {
        let known = text.len();
        // What comes later does not count for a word.
        let mut padded = text.clone();
        padded.resize(known.next_multiple_of(STEP).min(length), 0);
        let outputs = session.run(&inputs(wish, words, &padded)?)?;
        let Some(next) =
            outputs.iter().find_map(|output| logits(output, words.vocabulary, padded.len(), known - 1))
        else {
            return Ok(None);
        };
        let Some(word) = draws.of_logits(next) else {
            let problem = "its answers are no distribution of words".to_owned();
            return Err(Error::Runtime { action: "run", view: "float".into(), problem });
        };
        text.push(word);
    }
    Ok(Some(text))
}

/// The logits at a place, where the output has some for each word of a text.
fn logits(output: &Output, vocabulary: usize, length: usize, place: usize) -> Option<&[f32]> {
    let fits = output.dims.len() >= 2
        && output.dims.ends_with(&[length, vocabulary])
        && output.values.len() == length * vocabulary;
    output.values.chunks_exact(vocabulary.max(1)).nth(place).filter(|_| fits)
}
