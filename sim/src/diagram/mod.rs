//! A run as a picture: one page with a lane for each member and each client, time running down, and everything that
//! went between them.
//!
//! The run is traced ([`crate::world::told`]) and made into plain data ([`model`]) here; the page (`page.html`,
//! `page.css`, `page.js`) holds that data, draws what is in sight of it, and needs nothing else: no network, no font,
//! no second file. Values in it are other people's bytes, so none of them becomes markup:
//! the data is JSON without any `<`, and the script only ever sets text.
//!
//! A page is bounded. What does not fit is left out from the beginning of the run, for what went wrong is at its end,
//! and the page says so.

pub mod model;

mod build;
mod moments;
#[cfg(test)]
mod tests;

use crate::{outcome::Outcome, scenario::Scenario, world};
use build::Builder;
use model::Diagram;

/// The most messages, moments, disk operations and client operations together that a page shows if not told otherwise:
/// a page of about five megabytes, which every browser still scrolls smoothly.
pub const SHOWN_MAX: usize = 20_000;

/// Which part of a run is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Nothing that ended before this, in nanoseconds.
    pub from: u64,
    /// Nothing that began after this.
    pub to: u64,
    /// The last so many.
    pub most: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { from: 0, to: u64::MAX, most: SHOWN_MAX }
    }
}

/// Runs a scenario and draws it. `name` and `text` are its file's.
pub fn diagram(name: &str, text: &str, scenario: &Scenario, window: Window) -> (Diagram, Outcome) {
    let (builder, outcome) = world::listen(scenario, Builder::new(name, text, scenario), Builder::take);
    let mut diagram = builder.finish(scenario, &outcome);
    cut_down(&mut diagram, window);
    (diagram, outcome)
}

/// Leaves out what is outside of the window, and what is too much for a page.
fn cut_down(diagram: &mut Diagram, window: Window) {
    let whole = diagram.size();
    let (mut from, to) = (window.from, window.to.min(diagram.ended));
    keep(diagram, from, to);
    let chosen = diagram.size();
    if chosen > window.most {
        let mut ends = ends(diagram);
        ends.sort_unstable_by_key(|end| std::cmp::Reverse(*end));
        from = ends[window.most] + 1;
        keep(diagram, from, to);
    }
    diagram.shown = (from.min(to), to);
    let (left, millis) = (whole - diagram.size(), |nanos: u64| format!("{:.3} ms", nanos as f64 / 1e6));
    if left > 0 {
        let why = if diagram.size() < chosen {
            format!("a page shows {} at most, the last ones", window.most)
        } else {
            "that is the part that was asked for".to_string()
        };
        diagram.left_out = Some(format!(
            "Shown is {} to {} of {}; {left} of {whole} events are left out: {why}. See --from, --to and --most.",
            millis(from),
            millis(to),
            millis(diagram.ended)
        ));
    }
}

/// When everything with a time of its own was over.
fn ends(diagram: &Diagram) -> Vec<u64> {
    let messages = diagram.messages.iter().map(model::Message::last);
    let marks = diagram.marks.iter().map(|mark| mark.at);
    let writes = diagram.writes.iter().map(|write| write.to);
    let operations = diagram.operations.iter().map(|operation| operation.to);
    messages.chain(marks).chain(writes).chain(operations).collect()
}

/// Keeps what is not over before `from` and does not begin after `to`.
fn keep(diagram: &mut Diagram, from: u64, to: u64) {
    diagram.messages.retain(|message| message.last() >= from && message.sent <= to);
    diagram.marks.retain(|mark| (from..=to).contains(&mark.at));
    diagram.writes.retain(|write| write.to >= from && write.from <= to);
    diagram.operations.retain(|operation| operation.to >= from && operation.from <= to);
    diagram.spans.retain(|span| span.to >= from && span.from <= to);
    diagram.cuts.retain(|cut| cut.to >= from && cut.from <= to);
}

/// The whole page.
pub fn html(diagram: &Diagram) -> String {
    const PAGE: &str = include_str!("page.html");
    let data = serde_json::to_string(diagram).expect("a diagram has no keys but strings");
    let parts = [
        ("/*STYLE*/", include_str!("page.css").to_string()),
        ("/*DATA*/", inert(&data)),
        ("/*SCRIPT*/", include_str!("page.js").to_string()),
    ];
    // One pass from front to back, so that what a part holds is never taken for the place of the next.
    let mut page = String::with_capacity(data.len() + 64 * 1024);
    let mut rest = PAGE;
    for (place, part) in parts {
        let (before, after) = rest.split_once(place).expect("the template has a place for each part, in this order");
        page.push_str(before);
        page.push_str(&part);
        rest = after;
    }
    page + rest
}

/// JSON that holds nothing a parser of HTML would act upon.
fn inert(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
