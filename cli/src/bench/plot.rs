//! A line plot as inline SVG: axes, lines, a legend, and nothing that a browser would have to fetch or run.

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 45.0;
/// Classes of the page's style sheet, one for each line in turn.
const COLOURS: usize = 8;

/// Where values go on one side of a plot.
pub struct Axis {
    label: String,
    scale: Scale,
    from: f64,
    to: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
    /// 0, 90 %, 99 %, 99.9 %, ... at even distances.
    Nines,
}

impl Axis {
    /// From 0 to at least `most`.
    pub fn linear(label: &str, most: f64) -> Self {
        Self { label: label.to_owned(), scale: Scale::Linear, from: 0.0, to: most.max(f64::MIN_POSITIVE) }
    }

    /// Whole powers of ten around what is shown.
    pub fn log(label: &str, least: f64, most: f64) -> Self {
        let from = least.max(1e-6).log10().floor();
        Self { label: label.to_owned(), scale: Scale::Log, from, to: most.max(1e-6).log10().ceil().max(from + 1.0) }
    }

    /// Shares of all, up to this many nines.
    pub fn nines(label: &str, most: u32) -> Self {
        Self { label: label.to_owned(), scale: Scale::Nines, from: 0.0, to: f64::from(most) }
    }

    /// From 0 at its beginning to 1 at its end.
    fn place(&self, value: f64) -> f64 {
        let at = match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(1e-9).log10(),
            Scale::Nines => -(1.0 - value).max(1e-9).log10(),
        };
        ((at - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    /// Places and words of its marks.
    fn ticks(&self) -> Vec<(f64, String)> {
        let values: Vec<f64> = match self.scale {
            Scale::Linear => {
                let step = step(self.to);
                (0..=(self.to / step) as u32).map(|number| f64::from(number) * step).collect()
            }
            Scale::Log => (self.from as i32..=self.to as i32).map(|power| 10f64.powi(power)).collect(),
            Scale::Nines => (0..=self.to as i32).map(|nines| 1.0 - 10f64.powi(-nines)).collect(),
        };
        let word = |value: f64| match self.scale {
            Scale::Nines => format!("{} %", round(value * 100.0)),
            _ => round(value),
        };
        values.into_iter().map(|value| (self.place(value), word(value))).collect()
    }
}

/// About five marks, at 1, 2 or 5 times a power of ten.
fn step(most: f64) -> f64 {
    let power = 10f64.powf((most / 5.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|by| by * power);
    steps.into_iter().find(|step| most / step <= 6.0).unwrap_or(most)
}

/// Without digits that mean nothing.
fn round(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text.strip_suffix("000") {
        Some(thousands) if thousands.len() > 1 || value >= 10_000.0 => format!("{thousands}k"),
        _ => text.to_owned(),
    }
}

/// A plot.
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// To the right.
    pub x: Axis,
    /// Upward.
    pub y: Axis,
    /// Names and points.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
}

impl Plot {
    /// As an element of a page.
    pub fn svg(&self) -> String {
        let title = escape(&self.title);
        let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n");
        svg.push_str(&format!("<text class=\"title\" x=\"{LEFT}\" y=\"18\">{title}</text>\n"));
        self.axes(&mut svg);
        for (place, (name, points)) in self.lines.iter().enumerate() {
            let colour = place % COLOURS;
            let path: Vec<String> = points.iter().map(|point| self.point(*point)).collect();
            let mut stroke = |points: &str| {
                svg.push_str(&format!("<polyline class=\"c{colour}\" points=\"{points}\"/>\n"));
            };
            stroke(&path.join(" "));
            let (x, y) = (WIDTH - RIGHT + 12.0, TOP + 12.0 + 18.0 * place as f64);
            stroke(&format!("{x},{y} {},{y}", x + 18.0));
            svg.push_str(&format!("<text x=\"{}\" y=\"{}\">{}</text>\n", x + 24.0, y + 4.0, escape(name)));
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn axes(&self, svg: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let mut add = |text: String| svg.push_str(&text);
        for (place, word) in self.x.ticks() {
            let x = LEFT + place * (right - LEFT);
            add(format!("<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\n"));
            add(format!("<text class=\"mid\" x=\"{x:.1}\" y=\"{}\">{word}</text>\n", bottom + 16.0));
        }
        for (place, word) in self.y.ticks() {
            let y = bottom - place * (bottom - TOP);
            add(format!("<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>\n"));
            add(format!("<text class=\"end\" x=\"{}\" y=\"{:.1}\">{word}</text>\n", LEFT - 6.0, y + 4.0));
        }
        let (x, y) = ((LEFT + right) / 2.0, HEIGHT - 8.0);
        add(format!("<text class=\"mid\" x=\"{x}\" y=\"{y}\">{}</text>\n", escape(&self.x.label)));
        let y = (TOP + bottom) / 2.0;
        let label = escape(&self.y.label);
        add(format!("<text class=\"mid\" transform=\"rotate(-90 14 {y})\" x=\"14\" y=\"{y}\">{label}</text>\n"));
    }

    fn point(&self, (x, y): (f64, f64)) -> String {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let (x, y) = (LEFT + self.x.place(x) * (right - LEFT), bottom - self.y.place(y) * (bottom - TOP));
        format!("{x:.1},{y:.1}")
    }
}

/// Text that cannot become markup.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_where_the_marks_say() {
        let words = |axis: &Axis| axis.ticks().into_iter().map(|(_, word)| word).collect::<Vec<_>>().join(" ");
        assert_eq!(words(&Axis::linear("s", 6.0)), "0 1 2 3 4 5 6");
        assert_eq!(words(&Axis::linear("s", 52_000.0)), "0 10k 20k 30k 40k 50k");
        assert_eq!(words(&Axis::log("ms", 0.3, 42.0)), "0.1 1 10 100");
        assert_eq!(words(&Axis::nines("share", 3)), "0 % 90 % 99 % 99.9 %");
        assert_eq!(Axis::log("ms", 0.1, 10.0).place(1.0), 0.5);
        assert!((Axis::nines("share", 4).place(0.99) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn what_others_say_does_not_become_markup() {
        let plot = Plot {
            title: "<script>".to_owned(),
            x: Axis::linear("x", 1.0),
            y: Axis::linear("y", 1.0),
            lines: vec![("a & \"b\"".to_owned(), vec![(0.0, 0.0), (1.0, 1.0)])],
        };
        let svg = plot.svg();
        assert!(!svg.contains("<script>") && svg.contains("&lt;script&gt;") && svg.contains("a &amp; &quot;b&quot;"));
        assert!(svg.contains("points=\"70.0,255.0 710.0,30.0\""), "from corner to corner: {svg}");
    }
}
