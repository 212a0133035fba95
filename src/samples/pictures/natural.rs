//! The order in which people expect numbered names.

use std::cmp::Ordering;

/// The order of names in which 2 comes before 10.
pub fn natural(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    loop {
        let (head, tail) = number(one);
        let (other_head, other_tail) = number(other);
        if !head.is_empty() && !other_head.is_empty() {
            let (short, other_short) = (head.trim_start_matches('0'), other_head.trim_start_matches('0'));
            let order = short.len().cmp(&other_short.len()).then_with(|| short.cmp(other_short));
            if order != Ordering::Equal {
                return order;
            }
            (one, other) = (tail, other_tail);
            continue;
        }
        let (mut signs, mut other_signs) = (one.chars(), other.chars());
        match (signs.next(), other_signs.next()) {
            (Some(sign), Some(other_sign)) if sign == other_sign => {
                (one, other) = (signs.as_str(), other_signs.as_str());
            }
            (sign, other_sign) => return sign.cmp(&other_sign),
        }
    }
}

/// The digits that a text begins with, and the rest.
fn number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_ordered_by_value() {
        let mut names =
            ["10", "2", "1", "b2", "b10a", "b10", "a", "02", "b2a3", "99999999999999999999999", ""];
        names.sort_by(|one, other| natural(one, other).then_with(|| one.cmp(other)));
        let expected =
            ["", "1", "02", "2", "10", "99999999999999999999999", "a", "b2", "b2a3", "b10", "b10a"];
        assert_eq!(names, expected);
    }
}
