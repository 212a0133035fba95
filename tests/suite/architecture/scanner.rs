//! Rust source as words and signs, and what it imports.

/// Identifiers and single signs, without comments, literals and what is under `#[cfg(test)]`.
pub fn tokens(source: &str) -> Vec<String> {
    without_tests(lex(source)).into_iter().filter(|token| !token.starts_with('"')).collect()
}

/// The strings of the source, as they are written there, without what is under `#[cfg(test)]`.
pub fn strings(source: &str) -> Vec<String> {
    without_tests(lex(source)).iter().filter_map(|token| token.strip_prefix('"')).map(str::to_owned).collect()
}

/// Identifiers and single signs; strings with a quote in front.
fn lex(source: &str) -> Vec<String> {
    let text: Vec<char> = source.chars().collect();
    let at = |index: usize| text.get(index).copied().unwrap_or('\0');
    let is_word = |sign: char| sign.is_alphanumeric() || sign == '_';
    let mut tokens = Vec::new();
    let mut index = 0;
    while index < text.len() {
        let sign = text[index];
        if sign == '/' && at(index + 1) == '/' {
            while index < text.len() && text[index] != '\n' {
                index += 1;
            }
        } else if sign == '/' && at(index + 1) == '*' {
            let mut depth = 0;
            while index < text.len() {
                match (at(index), at(index + 1)) {
                    ('/', '*') => (depth, index) = (depth + 1, index + 2),
                    ('*', '/') => (depth, index) = (depth - 1, index + 2),
                    _ => index += 1,
                }
                if depth == 0 {
                    break;
                }
            }
        } else if sign == '"' {
            let start = index;
            index = after_string(&text, index);
            tokens.push(text[start..index - 1].iter().collect());
        } else if sign == '\'' && (at(index + 1) == '\\' || at(index + 2) == '\'') {
            index += if at(index + 1) == '\\' { 3 } else { 2 };
            while index < text.len() && text[index] != '\'' {
                index += 1;
            }
            index += 1;
        } else if is_word(sign) {
            let start = index;
            while is_word(at(index)) {
                index += 1;
            }
            let word: String = text[start..index].iter().collect();
            let hashes = text[index..].iter().take_while(|sign| **sign == '#').count();
            if matches!(word.as_str(), "r" | "br" | "cr") && at(index + hashes) == '"' {
                let start = index + hashes;
                index = after_raw_string(&text, start + 1, hashes);
                tokens.push(text[start..index - 1 - hashes].iter().collect());
            } else {
                tokens.push(word);
            }
        } else {
            if !sign.is_whitespace() {
                tokens.push(sign.to_string());
            }
            index += 1;
        }
    }
    tokens
}

fn after_string(text: &[char], open: usize) -> usize {
    let mut index = open + 1;
    while index < text.len() && text[index] != '"' {
        index += if text[index] == '\\' { 2 } else { 1 };
    }
    index + 1
}

fn after_raw_string(text: &[char], start: usize, hashes: usize) -> usize {
    let closes = |index: usize| {
        text[index] == '"'
            && text[index + 1..].iter().take(hashes).filter(|sign| **sign == '#').count() == hashes
    };
    (start..text.len()).find(|&index| closes(index)).map_or(text.len(), |index| index + 1 + hashes)
}

fn without_tests(tokens: Vec<String>) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        if !tokens[index..].iter().take(MARK.len()).eq(MARK) {
            kept.push(tokens[index].clone());
            index += 1;
            continue;
        }
        index += MARK.len();
        let mut depth = 0;
        while index < tokens.len() {
            match tokens[index].as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            let over = depth == 0 && matches!(tokens[index].as_str(), "}" | ";");
            index += 1;
            if over {
                break;
            }
        }
    }
    kept
}

pub fn is_path_separator(tokens: &[String], index: usize) -> bool {
    tokens.get(index).is_some_and(|sign| sign == ":") && tokens.get(index + 1).is_some_and(|sign| sign == ":")
}

/// The names that follow `crate::`, or enough `super::` to leave the part; `module` is where the
/// tokens stand.
pub fn imports(module: &[String], tokens: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        let mut supers = 0;
        let start = index;
        while tokens.get(index).is_some_and(|word| word == "super") && is_path_separator(tokens, index + 1) {
            (supers, index) = (supers + 1, index + 3);
        }
        let from_root = match tokens.get(index).map(String::as_str) {
            _ if supers > 0 => supers >= module.len(),
            // The binary names its own library.
            Some("crate" | "fourbit") if is_path_separator(tokens, index + 1) => {
                index += 3;
                true
            }
            _ => false,
        };
        if from_root {
            found.extend(first_names(tokens, index));
        }
        index = index.max(start + 1);
    }
    found
}

/// The first name of a path, or of each path in a group.
fn first_names(tokens: &[String], index: usize) -> Vec<String> {
    if tokens.get(index).is_none_or(|sign| sign != "{") {
        return tokens.get(index).cloned().into_iter().collect();
    }
    let (mut names, mut depth, mut fresh) = (Vec::new(), 0, false);
    for token in &tokens[index..] {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            name if depth == 1 && fresh => names.push(name.to_owned()),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        fresh = depth == 1 && matches!(token.as_str(), "{" | ",");
    }
    names
}
