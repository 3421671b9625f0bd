//! Line charts as inline SVG: axes from zero, round ticks, a legend; nothing that has to be fetched or run.

use std::fmt::Write;

/// One line of a chart.
#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    /// What it shows.
    pub name: String,
    /// Points, by ascending x.
    pub points: Vec<(f64, f64)>,
}

/// A chart.
#[derive(Clone, PartialEq, Debug)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// What goes to the right; whole numbers.
    pub across: String,
    /// What goes up, from zero.
    pub up: String,
    /// Its lines.
    pub series: Vec<Series>,
}

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 44.0;
/// Distinguishable also without red or green, and by their dashes without any colour.
const STROKES: [(&str, &str); 6] = [
    ("#0072b2", ""),
    ("#d55e00", "6 3"),
    ("#009e73", "2 3"),
    ("#cc79a7", "8 3 2 3"),
    ("#555555", "1 4"),
    ("#b8860b", "12 4"),
];

impl Plot {
    /// As an SVG element.
    pub fn svg(&self) -> String {
        let mut svg = String::new();
        self.draw(&mut svg).expect("a string takes all");
        svg
    }

    fn draw(&self, svg: &mut String) -> std::fmt::Result {
        let points = || self.series.iter().flat_map(|series| series.points.iter().copied());
        let least = points().map(|(x, _)| x).fold(f64::INFINITY, f64::min);
        let most = points().map(|(x, _)| x).fold(f64::NEG_INFINITY, f64::max);
        let top = round_up(points().map(|(_, y)| y).fold(0.0, f64::max));
        let reach = if most > least { most - least } else { 1.0 };
        let x = |value: f64| LEFT + (value - least) / reach * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
        let (floor, end) = (y(0.0), WIDTH - RIGHT);

        writeln!(svg, r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#, escape(&self.title))?;
        writeln!(svg, r#"<text x="{LEFT}" y="16" class="title">{}</text>"#, escape(&self.title))?;
        for step in 0..=4 {
            let value = top * f64::from(step) / 4.0;
            let at = y(value);
            writeln!(svg, r#"<line x1="{LEFT}" y1="{at:.1}" x2="{end}" y2="{at:.1}" class="grid"/>"#)?;
            writeln!(
                svg,
                r#"<text x="{:.1}" y="{:.1}" class="tick end">{}</text>"#,
                LEFT - 5.0,
                at + 4.0,
                short(value)
            )?;
        }
        let mut value = least;
        while value <= most {
            writeln!(svg, r#"<text x="{:.1}" y="{:.1}" class="tick mid">{value}</text>"#, x(value), floor + 15.0)?;
            value += 1.0;
        }
        let middle = (LEFT + end) / 2.0;
        writeln!(
            svg,
            r#"<text x="{middle}" y="{:.1}" class="tick mid">{}</text>"#,
            HEIGHT - 10.0,
            escape(&self.across)
        )?;
        let half = (TOP + floor) / 2.0;
        let up = escape(&self.up);
        writeln!(svg, r#"<text transform="translate(12 {half}) rotate(-90)" class="tick mid">{up}</text>"#)?;
        for (series, (colour, dashes)) in self.series.iter().zip(STROKES.iter().cycle()) {
            let line: Vec<String> = series.points.iter().map(|(a, b)| format!("{:.1},{:.1}", x(*a), y(*b))).collect();
            let style = format!(r#"stroke="{colour}" stroke-dasharray="{dashes}""#);
            writeln!(svg, r#"<polyline points="{}" fill="none" stroke-width="2" {style}/>"#, line.join(" "))?;
            for (a, b) in &series.points {
                let said = format!("{}: {a}, {}", escape(&series.name), short(*b));
                let (a, b) = (x(*a), y(*b));
                writeln!(
                    svg,
                    r#"<circle cx="{a:.1}" cy="{b:.1}" r="3" fill="{colour}"><title>{said}</title></circle>"#
                )?;
            }
        }
        writeln!(svg, "</svg>")?;
        self.legend(svg)
    }

    fn legend(&self, svg: &mut String) -> std::fmt::Result {
        write!(svg, r#"<p class="legend">"#)?;
        for (series, (colour, dashes)) in self.series.iter().zip(STROKES.iter().cycle()) {
            let line = format!(r#"<line x1="0" y1="5" x2="26" y2="5" stroke="{colour}" stroke-dasharray="{dashes}"/>"#);
            write!(svg, r#"<span><svg viewBox="0 0 26 10" class="key">{line}</svg>{}</span> "#, escape(&series.name))?;
        }
        writeln!(svg, "</p>")
    }
}

/// The next number above of one leading digit, or of one and a half or two and a half.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    power * steps.into_iter().find(|step| step * power >= value).unwrap_or(10.0)
}

/// A number with no more digits than an axis has room for.
fn short(value: f64) -> String {
    match value {
        _ if value >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Text as it may stand in HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers_above_everything_shown() {
        for (value, end) in [(0.0, 1.0), (0.9, 1.0), (1.2, 1.5), (383.0, 400.0), (5_888.0, 6_000.0), (10.0, 10.0)] {
            assert!((round_up(value) - end).abs() < 1e-9, "{value} ends at {}", round_up(value));
        }
    }

    #[test]
    fn every_point_is_within_the_frame_and_text_is_escaped() {
        let series = Series { name: "a<b".into(), points: vec![(3.0, 10.0), (10.0, 0.0)] };
        let plot = Plot { title: "t & u".into(), across: "n".into(), up: "y".into(), series: vec![series] };
        let svg = plot.svg();
        assert!(svg.contains(r#"points="58.0,30.0 448.0,256.0""#), "{svg}");
        assert!(svg.contains("t &amp; u") && svg.contains("a&lt;b"), "{svg}");
    }
}
