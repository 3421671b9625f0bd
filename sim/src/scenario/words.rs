//! Words of a scenario line, and the suggestion for a misspelt one.

use std::fmt::Write;

/// One word of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    /// What it stands for: escapes are undone.
    pub bytes: Vec<u8>,
    /// Whether it was written in quotes; then it is never a keyword.
    pub quoted: bool,
}

impl Word {
    /// The word as a keyword, number or name; `None` if it was quoted.
    pub fn bare(&self) -> Option<&str> {
        if self.quoted { None } else { std::str::from_utf8(&self.bytes).ok() }
    }

    /// The word as it might have been written.
    pub fn shown(&self) -> String {
        if self.quoted { quote(&self.bytes) } else { String::from_utf8_lossy(&self.bytes).into_owned() }
    }
}

/// Takes a line apart. A `#` that begins a word begins a comment.
pub fn split(line: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_word(quoted)?,
            None => bare_word(rest)?,
        };
        words.push(word);
        rest = after.trim_start();
    }
    Ok(words)
}

fn bare_word(text: &str) -> Result<(Word, &str), String> {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if word.contains('"') {
        return Err(format!("a quote in the middle of {word}; quote the whole word, as in \"a \\\"b\\\"\""));
    }
    Ok((Word { bytes: word.as_bytes().to_vec(), quoted: false }, rest))
}

/// Reads on behind the opening quote.
fn quoted_word(text: &str) -> Result<(Word, &str), String> {
    let mut bytes = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => {
                let rest = &text[at + 1..];
                if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
                    return Err("a closing quote must end the word".into());
                }
                return Ok((Word { bytes, quoted: true }, rest));
            }
            '\\' => match chars.next().map(|(_, escape)| escape) {
                Some('x') => {
                    let digits: String = chars.by_ref().take(2).map(|(_, digit)| digit).collect();
                    let valid = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                    let byte = u8::from_str_radix(&digits, 16).ok().filter(|_| valid);
                    bytes.push(byte.ok_or("\\x wants two hexadecimal digits, as in \\x0a")?);
                }
                Some('n') => bytes.push(b'\n'),
                Some(plain @ ('"' | '\\')) => bytes.push(plain as u8),
                _ => return Err("after a backslash come x, n, \\ or \"".into()),
            },
            char => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err("a quoted word does not end on its line".into())
}

/// How a byte string is written: bare if nobody could misread it, else in quotes.
pub fn word_of(bytes: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"\\#;=".contains(byte);
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.is_empty() && bytes.iter().all(plain) => text.to_string(),
        _ => quote(bytes),
    }
}

fn quote(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => write!(text, "\\x{byte:02x}").expect("a string takes all"),
        }
    }
    text.push('"');
    text
}

/// The known name that `text` was most likely meant to be, if any is near.
pub fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (distance(&text.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len().min(text.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Edits (one letter in, out, changed, or two neighbours swapped) that make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swap = if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    rows[i - 2][j - 2] + 1
                } else {
                    usize::MAX
                };
                change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(swap)
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &[(&[u8], bool)]) {
        let words = split(line).unwrap();
        let expected: Vec<Word> =
            expected.iter().map(|(bytes, quoted)| Word { bytes: bytes.to_vec(), quoted: *quoted }).collect();
        assert_eq!(words, expected, "{line}");
    }

    #[test]
    fn words_quotes_and_comments() {
        check("", &[]);
        check("  # all comment", &[]);
        check("at 1ms  put k#1 # tail", &[(b"at", false), (b"1ms", false), (b"put", false), (b"k#1", false)]);
        check(
            r#"put "" "\x00\xff a\"b\\" "\n""#,
            &[(b"put", false), (b"", true), (b"\x00\xff a\"b\\", true), (b"\n", true)],
        );
        check("put \"ü\"", &[(b"put", false), ("ü".as_bytes(), true)]);
        for bad in [r#""open"#, r#"a"b"#, r#""a"b"#, r#""\q""#, r#""\x0""#, r#""\x+1""#, r#""\"#, r#""\xü""#] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn any_bytes_read_back() {
        for byte in 0..=255u8 {
            for bytes in [vec![byte], vec![b'a', byte], vec![byte, b' ', byte]] {
                let words = split(&word_of(&bytes)).unwrap();
                assert_eq!(words.len(), 1, "{bytes:?}");
                assert_eq!(words[0].bytes, bytes);
            }
        }
        assert_eq!(word_of(b""), "\"\"");
        assert_eq!(word_of(b"0.12.1"), "0.12.1");
    }

    #[test]
    fn a_misspelt_name_finds_the_nearest() {
        let known = ["cluster", "network", "client-network", "at", "after"];
        assert_eq!(nearest("clutser", known), Some("cluster"));
        assert_eq!(nearest("Network", known), Some("network"));
        assert_eq!(nearest("aftr", known), Some("after"));
        assert_eq!(nearest("frobnicate", known), None);
    }
}
