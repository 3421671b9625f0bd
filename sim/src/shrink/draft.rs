//! A scenario as lines of text that can be taken apart.
//!
//! Shrinking works on the text form: whatever is as by default is left out of it, so taking a word out is setting it to
//! its default, and what a reader will see becomes smaller, not some inner measure. A draft need not be a scenario:
//! whoever made it finds out by reading it back.

use crate::scenario::Scenario;
use ios_core::time::Span;
use std::ops::Range;

/// The first lines of every scenario, which say what it is and are never taken out.
const HEAD: usize = 2;

/// The lines of a scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Draft {
    lines: Vec<String>,
}

/// What a scenario's reader has to read: lines, then words, then characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Size {
    /// Directives, the seed and the like included.
    pub lines: usize,
    /// Words of all of them.
    pub words: usize,
    /// Characters of all of them.
    pub characters: usize,
}

impl Draft {
    pub(crate) fn of(scenario: &Scenario) -> Self {
        Self { lines: scenario.to_string().lines().map(str::to_string).collect() }
    }

    /// The scenario that it is, if it is one.
    pub(crate) fn read(&self) -> Option<Scenario> {
        self.lines.iter().map(|line| format!("{line}\n")).collect::<String>().parse().ok()
    }

    pub(super) fn size(&self) -> Size {
        let words = self.lines.iter().map(|line| line.split_whitespace().count()).sum();
        Size { lines: self.lines.len(), words, characters: self.lines.iter().map(String::len).sum() }
    }

    /// The places of lines that may be taken out: all but what says what the scenario is.
    pub(crate) fn lines(&self) -> Vec<usize> {
        let may_go = |place: &usize| !["seed ", "run "].iter().any(|word| self.lines[*place].starts_with(word));
        (HEAD..self.lines.len()).filter(may_go).collect()
    }

    /// The places of lines that set something up: what stands before the plan.
    pub(super) fn settings(&self) -> Vec<usize> {
        let directives = ["cluster ", "network ", "client-network ", "order ", "disk ", "clocks ", "workload "];
        let sets = |line: &String| directives.iter().any(|word| line.starts_with(word));
        (0..self.lines.len()).filter(|place| sets(&self.lines[*place])).collect()
    }

    pub(crate) fn without_lines(&self, out: &[usize]) -> Self {
        let kept = self.lines.iter().enumerate().filter(|(place, _)| !out.contains(place));
        Self { lines: kept.map(|(_, line)| line.clone()).collect() }
    }

    pub(super) fn words(&self, line: usize) -> Vec<&str> {
        self.lines[line].split(' ').collect()
    }

    pub(crate) fn line(&self, place: usize) -> &str {
        &self.lines[place]
    }

    pub(super) fn count(&self) -> usize {
        self.lines.len()
    }

    /// The same without some words of a line; without the line, if nothing but its name remains.
    pub(super) fn without_words(&self, line: usize, out: Range<usize>) -> Self {
        let mut words = self.words(line);
        words.drain(out);
        if words.len() <= 1 { self.without_lines(&[line]) } else { self.with_line(line, words.join(" ")) }
    }

    pub(super) fn with_word(&self, line: usize, word: usize, new: &str) -> Self {
        let mut words = self.words(line);
        words[word] = new;
        self.with_line(line, words.join(" "))
    }

    fn with_line(&self, line: usize, text: String) -> Self {
        let mut lines = self.lines.clone();
        lines[line] = text;
        Self { lines }
    }

    /// The same with `key=value` in a line of settings, which may have been absent.
    pub(super) fn with_setting(&self, directive: &str, key: &str, value: &str) -> Self {
        let setting = format!("{key}={value}");
        let begin = format!("{directive} ");
        let Some(line) = self.lines.iter().position(|line| line.starts_with(&begin)) else {
            let mut lines = self.lines.clone();
            lines.insert(HEAD, begin + &setting);
            return Self { lines };
        };
        let key = format!("{key}=");
        match self.words(line).iter().position(|word| word.starts_with(&key)) {
            Some(word) => self.with_word(line, word, &setting),
            None => self.with_line(line, format!("{} {setting}", self.lines[line])),
        }
    }

    /// The same with another line of this name, in the place of the one there is.
    pub(super) fn with_directive(&self, text: String) -> Self {
        let name = format!("{} ", text.split(' ').next().unwrap_or_default());
        let mut lines: Vec<String> = self.lines.iter().filter(|line| !line.starts_with(&name)).cloned().collect();
        lines.push(text);
        Self { lines }
    }

    /// The same without one member (`n`) or client (`c`), those after it renamed. Lines and words that are about it go.
    pub(super) fn without_name(&self, kind: char, gone: u8) -> Self {
        let lines = self.lines.iter().enumerate().filter_map(|(place, line)| match place {
            0..HEAD => Some(line.clone()),
            _ => line_without(line, kind, gone),
        });
        Self { lines: lines.collect() }
    }
}

fn line_without(line: &str, kind: char, gone: u8) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    for word in line.split(' ') {
        match renamed(word, kind, gone) {
            Some(word) => words.push(word),
            // A list goes on without it.
            None if word.starts_with("core=") => {
                let rest = word["core=".len()..].split(',').filter_map(|name| renamed(name, kind, gone));
                words.push(format!("core={}", rest.collect::<Vec<_>>().join(",")));
            }
            None if line.contains(" partition ") || line.starts_with("clocks ") => {}
            // So does a list of links; the member's own events are another matter.
            None if word.contains('>') && is_of_links(line) => {}
            None => return None,
        }
    }
    let text = words.join(" ");
    let groups = line.contains(" partition ");
    let empty = groups && (text.contains("| |") || text.contains("partition |") || text.ends_with('|'));
    let linkless = is_of_links(line) && !text.contains('>');
    (!empty && !linkless && words.len() > 1).then_some(text)
}

/// Whether a line cuts or clogs links that it lists.
fn is_of_links(line: &str) -> bool {
    line.contains(" cut ") || line.contains(" clog ")
}

/// A word with its names adapted; nothing if it is about what is gone.
fn renamed(word: &str, kind: char, gone: u8) -> Option<String> {
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find(kind) {
        let digits = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let (before, after) = (&rest[..at], &rest[at + 1 + digits..]);
        let number: Option<u8> = rest[at + 1..at + 1 + digits].parse().ok();
        let stands_alone = !before.ends_with(|last: char| last.is_ascii_alphanumeric())
            && !after.starts_with(|first: char| first.is_ascii_alphabetic());
        text.push_str(before);
        match number.filter(|_| stands_alone) {
            Some(number) if number == gone => return None,
            Some(number) => text.push_str(&format!("{kind}{}", number - u8::from(number > gone))),
            None => text.push_str(&rest[at..at + 1 + digits]),
        }
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

/// Rounder values of a word, the roundest first: a range becomes one value, a time or a number loses digits.
pub(super) fn rounder(word: &str) -> Vec<String> {
    let (key, value) = word.split_once('=').map_or(("", word), |(key, value)| (key, value));
    let lead = if key.is_empty() { String::new() } else { format!("{key}=") };
    let mut found = Vec::new();
    if let Some((low, high)) = value.split_once("..") {
        found.extend([low, high].iter().flat_map(|end| round(end)).chain([low.to_string(), high.to_string()]));
        if let (Some(low), Some(high)) = (round(low).first(), round(high).first()) {
            found.push(format!("{low}..{high}"));
        }
    } else {
        found.extend(round(value));
    }
    found.retain(|new| new != value);
    found.into_iter().map(|value| lead.clone() + &value).collect()
}

/// A time or a number with one digit that counts, then with two.
fn round(text: &str) -> Vec<String> {
    if let Ok(span) = crate::scenario::parse::span(text) {
        return digits(span.0).map(|nanos| Span(nanos).to_string()).collect();
    }
    match text.parse::<u64>() {
        Ok(number) if number > 9 => digits(number).map(|number| number.to_string()).collect(),
        _ => Vec::new(),
    }
}

fn digits(number: u64) -> impl Iterator<Item = u64> {
    let magnitude = number.max(1).ilog10();
    let to = move |digits: u32| {
        let unit = 10u64.pow((magnitude + 1).saturating_sub(digits));
        number / unit * unit
    };
    [to(1), to(2)].into_iter().filter(move |rounded| *rounded != number && *rounded > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(text: &str) -> Draft {
        Draft { lines: text.lines().map(str::to_string).collect() }
    }

    fn text(draft: &Draft) -> String {
        draft.lines.join("\n")
    }

    #[test]
    fn a_draft_reads_back_as_the_scenario_it_is_of() {
        for seed in 0..50 {
            let scenario = crate::generator::generate(crate::generator::Profile::Swarm, seed);
            assert_eq!(Draft::of(&scenario).read(), Some(scenario));
        }
    }

    #[test]
    fn a_member_goes_with_all_that_is_about_it_and_the_others_move_up() {
        let before = draft(
            "ios-scenario 1\nexpect ok\ncluster nodes=4\nclocks n1=5 n3=7\nat 1ms crash n1 power\nat 2ms cut n0>n2\n\
             at 3ms partition n0 n1 | n2 n3\nat 4ms partition n1 | n2\nat 5ms c0 put n1x n10\n\
             when n2 sends Accept to=n1 crash it power\nwhen n3 leads view=2.n3 heal\nliveness core=n0,n1,n3 within=2s",
        );
        let after = "ios-scenario 1\nexpect ok\ncluster nodes=4\nclocks n2=7\nat 2ms cut n0>n1\n\
                     at 3ms partition n0 | n1 n2\nat 5ms c0 put n1x n9\nwhen n2 leads view=2.n2 heal\n\
                     liveness core=n0,n2 within=2s";
        assert_eq!(text(&before.without_name('n', 1)), after);
        let before = draft("ios-scenario 1\nexpect ok\nat 1ms c1 put c2 v\nafter c1.2 c0 get k\nafter c2.3 crash c2");
        assert_eq!(
            text(&before.without_name('c', 0)),
            "ios-scenario 1\nexpect ok\nat 1ms c0 put c1 v\nafter c1.3 crash c1"
        );
    }

    #[test]
    fn a_list_of_links_goes_on_without_a_member() {
        let before = draft(
            "ios-scenario 1\nexpect ok\norder slow-link n1>n2 4ms\nat 1ms cut n0>n1 n0>n2 for=2ms times=3 gap=1ms\n\
             at 1ms clog n1>c0\nwhen n2 sends Accept clog n1>n2 n2>n0",
        );
        let after = "ios-scenario 1\nexpect ok\nat 1ms cut n0>n1 for=2ms times=3 gap=1ms\n\
                     when n1 sends Accept clog n1>n0";
        assert_eq!(text(&before.without_name('n', 1)), after);
    }

    #[test]
    fn settings_go_change_and_come() {
        let before = draft("ios-scenario 1\nexpect ok\ncluster nodes=5 window=1\nrun 2s");
        assert_eq!(text(&before.without_words(2, 1..2)), "ios-scenario 1\nexpect ok\ncluster window=1\nrun 2s");
        assert_eq!(text(&before.without_words(2, 1..3)), "ios-scenario 1\nexpect ok\nrun 2s");
        let after = before.with_setting("cluster", "nodes", "3").with_setting("workload", "ops", "9");
        assert_eq!(text(&after), "ios-scenario 1\nexpect ok\nworkload ops=9\ncluster nodes=3 window=1\nrun 2s");
        assert_eq!(text(&before.with_directive("run 1s".into())).lines().last(), Some("run 1s"));
    }

    #[test]
    fn values_become_rounder() {
        assert_eq!(rounder("1334900us"), ["1s", "1300ms"]);
        assert_eq!(rounder("drop=6113"), ["drop=6000", "drop=6100"]);
        assert_eq!(rounder("delay=2ms..9ms"), ["delay=2ms", "delay=9ms"]);
        assert_eq!(rounder("in=16us"), ["in=10us"]);
        assert!(rounder("nth=4").is_empty() && rounder("n1").is_empty() && rounder("1s").is_empty());
    }
}
