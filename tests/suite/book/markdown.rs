//! The little of Markdown that the tests of the book read: fenced blocks, links, headings and code in the text.

/// A fenced block.
pub struct Block {
    /// The word behind the opening fence.
    pub language: String,
    /// What is inside.
    pub lines: Vec<String>,
    /// Line of the opening fence, from 1.
    pub at: usize,
}

/// A text, taken apart.
#[derive(Default)]
pub struct Page {
    pub blocks: Vec<Block>,
    /// Lines outside blocks.
    pub prose: Vec<String>,
}

impl Page {
    pub fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut open: Option<Block> = None;
        for (at, line) in text.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), &mut open) {
                (Some(_), Some(_)) => page.blocks.extend(open.take()),
                (Some(language), None) => {
                    open = Some(Block { language: language.trim().into(), lines: Vec::new(), at: at + 1 });
                }
                (None, Some(block)) => block.lines.push(line.into()),
                (None, None) => page.prose.push(line.into()),
            }
        }
        assert!(open.is_none(), "a block is not closed");
        page
    }

    /// Targets of links, code left out.
    pub fn links(&self) -> Vec<String> {
        let text = self.halves(false).join(" ");
        let targets = text.split("](").skip(1);
        targets.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.trim().to_owned()).collect()
    }

    /// Code inside the text.
    pub fn code(&self) -> Vec<String> {
        self.halves(true)
    }

    /// What stands between single backquotes, which may be on two lines, or outside them.
    fn halves(&self, code: bool) -> Vec<String> {
        let text = self.prose.join(" ");
        let parts: Vec<&str> = text.split('`').collect();
        assert!(parts.len() % 2 == 1, "a backquote is not closed");
        let wanted = parts.into_iter().enumerate().filter(|(at, _)| (at % 2 == 1) == code);
        wanted.map(|(_, part)| part.to_owned()).collect()
    }

    /// Anchors of the headings, as GitHub and mdBook make them.
    pub fn anchors(&self) -> Vec<String> {
        let headings = self.prose.iter().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }
}

/// A heading as an anchor: letters, digits, `-` and `_`, with `-` for spaces.
fn anchor(heading: &str) -> String {
    let kept = |symbol: char| match symbol {
        ' ' => Some('-'),
        '-' | '_' => Some(symbol),
        _ => symbol.is_alphanumeric().then(|| symbol.to_ascii_lowercase()),
    };
    heading.chars().filter_map(kept).collect()
}

/// A command as a shell would part it, and the exit code that its comment, `# exit 3`, expects.
pub fn words(command: &str) -> (Vec<String>, i32) {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut quote = None;
    let mut symbols = command.char_indices();
    let mut code = 0;
    for (at, symbol) in symbols.by_ref() {
        match (symbol, quote) {
            ('#', None) if word.is_none() => {
                let comment = command[at + 1..].trim();
                code = comment.strip_prefix("exit ").and_then(|code| code.parse().ok()).unwrap_or(0);
                break;
            }
            ('\'' | '"', None) => {
                quote = Some(symbol);
                word.get_or_insert_default();
            }
            (_, Some(end)) if symbol == end => quote = None,
            (' ', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(symbol),
        }
    }
    words.extend(word);
    (words, code)
}

#[test]
fn pages_are_taken_apart() {
    let page = Page::read("# A `--b`: c\n[x](y.md#z) `[no](link)`\n```console\n$ fourbit a\n```\n");
    assert_eq!(page.anchors(), ["a---b-c"]);
    assert_eq!(page.links(), ["y.md#z"]);
    assert_eq!(page.code(), ["--b", "[no](link)"]);
    assert_eq!((page.blocks[0].language.as_str(), page.blocks[0].at), ("console", 3));
    let (found, code) = words("fourbit a 'b c' \"d\"e # exit 3");
    assert_eq!((found, code), (["fourbit", "a", "b c", "de"].map(str::to_owned).to_vec(), 3));
    assert_eq!(words("a#b ''").0, ["a#b", ""]);
}
